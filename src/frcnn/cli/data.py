"""`frcnn data`: what is done with data sets alone."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from frcnn.cli.arguments import (
    DebugOption,
    DeviceOption,
    JsonOption,
    ModelArgument,
    PrecisionOption,
    ReindexOption,
)
from frcnn.cli.errors import FAILED, complain, one_line_errors
from frcnn.interrupts import leaving_at_once

Format = Literal["voc", "coco", "yolo"]
DataSetName = Literal["voc2007", "voc2012", "coco2017"]
PIPE_WIDTH = 200

app = typer.Typer(epilog="Example: frcnn data sample runs/sample", rich_markup_mode=None)


@app.callback()
def _root() -> None:
    """Make, fetch, check, convert or doubt a data set; ask what suits one."""


@app.command("sample", epilog="Example: frcnn data sample runs/sample")
def sample(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder for it.", show_default=False)],
    pictures: Annotated[int | None, typer.Option("--pictures", min=3, help="How many (default: 1200).")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed draws other pictures.")] = 0,
    debug: DebugOption = False,
) -> None:
    """Draw a small data set in the layout of PASCAL VOC: no download, the same pictures for the same seed."""
    with one_line_errors(debug):
        with leaving_at_once():
            from frcnn.data.sample import PICTURES, write_sample

        write_sample(folder, pictures or PICTURES, seed)
        typer.echo(f"{folder}: now try frcnn train tiny --data {folder}")


@app.command("download", epilog="Example: frcnn data download voc2007 data")
def download(
    name: Annotated[DataSetName, typer.Argument(metavar="NAME", help="Which one.", show_default=False)],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder for it.", show_default=False)],
    mirror: Annotated[
        list[str] | None,
        typer.Option(
            "--mirror", metavar="URL", help="Ask this server instead, which holds the same archives; may be repeated."
        ),
    ] = None,
    keep_archives: Annotated[bool, typer.Option("--keep-archives", help="Keep them once they are unpacked.")] = False,
    debug: DebugOption = False,
) -> None:
    """Fetch, check and unpack a public data set. After Ctrl-C the same command goes on where it was."""
    with one_line_errors(debug):
        with leaving_at_once():
            from frcnn.data.archives import PUBLISHED
            from frcnn.data.download import download as run

        typer.echo(f"{name}: {PUBLISHED[name].terms}")
        path = run(name, folder, mirror or (), keep_archives)
        typer.echo(f"{path}: now try frcnn train mobilenet_v2_fpn --data {path}")


@app.command("check", epilog="Example: frcnn data check VOCdevkit/VOC2007 --out runs/check --fix VOC2007-mended")
def check(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="Data sets that are used together.", show_default=False),
    ],
    fix: Annotated[
        Path | None, typer.Option("--fix", metavar="DST", help="Write a mended copy into this new folder.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write a page, check.html, into this folder.")
    ] = None,
    language: Annotated[Literal["en", "ko"], typer.Option("--lang", help="The language of check.html.")] = "en",
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Tell every fault of a data set, with file, line and remedy. Exit status 1 where PATH has errors."""
    with one_line_errors(debug):
        with leaving_at_once():
            import json

            from frcnn.data.checking.run import check as run
            from frcnn.data.checking.telling import print_report, tell_mended
            from frcnn.progress import progress_bar

        with progress_bar("checking") as progress:
            report, page, mended = run(paths, fix=fix, out=out, language=language, progress=progress)
        if as_json:
            typer.echo(json.dumps(report.to_dict(), indent=1))
        else:
            print_report(report)
        if page is not None:
            typer.echo(f"{page}: the page", err=as_json)
        if mended is not None:
            typer.echo(tell_mended(mended), err=as_json)
        if report.errors:
            raise typer.Exit(FAILED)


@app.command("convert", epilog="Example: frcnn data convert VOCdevkit/VOC2007 data/voc2007-coco --to coco")
def convert(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="A data set.", show_default=False)],
    folder: Annotated[Path, typer.Argument(metavar="DST", help="A new folder.", show_default=False)],
    to: Annotated[Format, typer.Option("--to", help="The format to write.", show_default=False)],
    bad_boxes: Annotated[
        Literal["refuse", "skip"], typer.Option("--bad-boxes", help="What to do about boxes that cannot be.")
    ] = "refuse",
    pictures: Annotated[
        Literal["copy", "link"], typer.Option("--pictures", help="link: hard links, which take no room.")
    ] = "copy",
    reindex: ReindexOption = False,
    debug: DebugOption = False,
) -> None:
    """Write a data set in another format: the same pictures, boxes, classes and splits."""
    with one_line_errors(debug):
        with leaving_at_once():
            from frcnn.data.convert import convert as run
            from frcnn.data.dataset import open_sets
            from frcnn.progress import progress_bar

        if reindex:
            open_sets([source], reindex=True)
        with progress_bar("converting") as progress:
            converted = run([source], folder, to, bad_boxes=bad_boxes, pictures=pictures, progress=progress)
        typer.echo(converted.describe())


@app.command("anchors", epilog="Example: frcnn data anchors VOCdevkit/VOC2007 --preset resnet50_fpn")
def anchors(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="A data set; several may follow.", show_default=False)
    ],
    preset: Annotated[
        str, typer.Option("--preset", metavar="PRESET", help="A name from `frcnn presets`.")
    ] = "mobilenet_v2_fpn",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE...",
            help="What `frcnn train` will be told, such as model.input.short_side=480; several may follow.",
        ),
    ] = None,
    reindex: ReindexOption = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """How well a preset's anchors fit your objects; which sizes, ratios and picture size would fit them better."""
    with one_line_errors(debug):
        with leaving_at_once():
            import json

            from rich.console import Console

            from frcnn.data.anchor_advice.advice import advise_on_anchors
            from frcnn.data.dataset import open_sets

        if reindex:
            open_sets(paths, reindex=True)
        advice = advise_on_anchors(paths, preset, settings or ())
        if as_json:
            typer.echo(json.dumps(advice.as_dict(), indent=1))
            return
        Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(advice.to_tables())
        for line in advice.describe():
            typer.echo(line)


@app.command("suspects", epilog="Example: frcnn data suspects runs/voc/best.safetensors VOCdevkit/VOC2007 --split test")
def suspects(
    model: ModelArgument,
    data: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Data sets.", show_default=False)],
    split: Annotated[
        Literal["train", "val", "trainval", "test"] | None,
        typer.Option("--split", help="Which part (default: test; with --folds all the others)."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="The folder for suspects.html and suspects.csv.")
    ] = Path("runs/suspects"),
    folds: Annotated[
        int | None,
        typer.Option(
            "--folds",
            min=2,
            help="Train so many models as MODEL was, or a preset; each looks at pictures it has not seen.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE...", help="With --folds: settings of the trainings, as in train."),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="At most so many rows.")] = 200,
    language: Annotated[Literal["en", "ko"], typer.Option("--lang", help="The language of page and remedies.")] = "en",
    bad_boxes: Annotated[
        Literal["refuse", "skip"], typer.Option("--bad-boxes", help="What to do about boxes that cannot be.")
    ] = "refuse",
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Pictures at a time.")] = 1,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "float32",
    reindex: ReindexOption = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Rank annotations that are probably wrong, by what a model detects: missing, misnamed, misplaced, or of nothing.

    MODEL must not have been trained on these pictures: it would repeat their mistakes. For those, use --folds.
    """
    with one_line_errors(debug):
        with leaving_at_once():
            import json

            from rich.console import Console

            from frcnn.data.dataset import open_sets
            from frcnn.drawing import describe_undrawable
            from frcnn.suspects.run import find_suspects
            from frcnn.suspects.words import words

        if reindex:
            open_sets(data, reindex=True)
        found = find_suspects(
            model,
            data,
            split,
            out,
            folds=folds or 0,
            top=top,
            language=language,
            overrides=settings or (),
            bad_boxes=bad_boxes,
            batch_size=batch_size,
            device=device,
            precision=precision,
            progress=True,
        )
        if as_json:
            typer.echo(json.dumps(found.to_dict(words(language)), indent=1))
        else:
            Console().print(found.to_console(words(language)))
        if lacking := describe_undrawable(found.class_names()):
            complain(lacking)
