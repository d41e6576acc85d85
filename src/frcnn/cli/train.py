"""`frcnn train`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from frcnn.cli.arguments import DataOption, DebugOption, DeviceOption, Precision, ReindexOption
from frcnn.cli.errors import one_line_errors
from frcnn.interrupts import leaving_at_once

Schedule = Literal["joint", "exact", "alternating"]

EXAMPLE = "Example: frcnn train mobilenet_v2_fpn --data VOCdevkit/VOC2007 --set train.epochs=24 --out runs/voc"


def train(
    preset: Annotated[str, typer.Argument(metavar="PRESET", help="A name from `frcnn presets`.", show_default=False)],
    data: DataOption,
    out: Annotated[Path | None, typer.Option("--out", help="The run's folder (default: runs/PRESET).")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Settings, such as a run's config.toml.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE...", help="One setting, such as train.lr=0.01; several may follow."),
    ] = None,
    backbone: Annotated[
        str | None, typer.Option("--backbone", help="Start from imagenet (default where published), none or a file.")
    ] = None,
    schedule: Annotated[
        Schedule | None,
        typer.Option(
            "--schedule",
            help="joint: proposals are given (the default); exact: losses move them too; alternating: in four steps.",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option("--weights", metavar="MODEL", help="Continue a detector; its head is made anew for new classes."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    device: DeviceOption = "auto",
    precision: Annotated[
        Precision | None, typer.Option("--precision", help="How precisely the network computes.")
    ] = None,
    reindex: ReindexOption = False,
    debug: DebugOption = False,
) -> None:
    """Train a detector on your data. Classes are found in the data; Ctrl-C keeps what was learnt for --resume."""
    with one_line_errors(debug):
        with leaving_at_once():
            from frcnn import train as run
            from frcnn.config import load_config
            from frcnn.data.dataset import open_sets

        if reindex:
            open_sets(data, reindex=True)
        run(
            preset,
            data,
            out,
            config=None if config is None else load_config(config),
            overrides=settings or (),
            backbone=backbone,
            weights=weights,
            schedule=schedule,
            resume=resume,
            device=device,
            precision=precision,
        )
