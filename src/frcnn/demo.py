"""The whole story on pictures that need no download: draw them, train, evaluate, predict, report."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from frcnn.config import Config, load_config, load_preset, override, to_toml
from frcnn.data.dataset import load_dataset
from frcnn.data.sample import PICTURES, write_sample
from frcnn.device import choose_device
from frcnn.errors import UsageError
from frcnn.evaluation.reporting.evaluated import Evaluated
from frcnn.evaluation.reporting.report import write_report
from frcnn.evaluation.results import Evaluation
from frcnn.evaluation.run import evaluate
from frcnn.files import make_folder, write_text
from frcnn.predict import predict
from frcnn.progress import progress_bar
from frcnn.training.begin import train
from frcnn.training.checkpoint import states

PRESET = "tiny"
DRAWN = 12  # pictures of the test split
DRAWN_ABOVE = 0.5  # score: what is below is mostly doubt, and hides the picture


def demo(
    out: str | Path = "runs/demo",
    seed: int = 0,
    *,
    pictures: int = PICTURES,
    overrides: Sequence[str] = (),
    device: str = "auto",
    console: Console | None = None,
) -> Evaluation:
    """Everything from nothing, in `out`; gives the evaluation of the test split, which training never sees.

    A second call goes on where the first was stopped, and trains no more where it had finished. Raises UsageError
    where `out` holds something else.
    """
    folder, data, console = Path(out), Path(out) / "data", console or Console()
    settings = override(load_preset(PRESET), [f"train.seed={seed}", *overrides])
    _check_folder(folder, settings)
    choose_device(device)
    if not (folder / "config.toml").exists():
        write_text(make_folder(folder) / "config.toml", to_toml(settings))
    if not data.exists():
        _say(console, f"Drawing sample pictures: {data}")
        write_sample(data, pictures, seed)
    _train(folder, data, settings, device, console)
    return _use(folder, data, device, console)


def _check_folder(folder: Path, settings: Config) -> None:
    """A new folder, or one in which the same demo was begun."""
    path, data = folder / "config.toml", folder / "data"
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file: name another folder with --out")
    if not path.exists():
        if folder.exists() and any(folder.iterdir()):
            raise UsageError(f"{folder}: holds something else: name another folder with --out")
        return
    if not data.exists() and any(entry != path for entry in folder.iterdir()):
        raise UsageError(f"{folder}: holds a run that is no demo: name another folder with --out")
    begun = load_config(path)
    if (begun.preset, begun.train.seed) != (settings.preset, settings.train.seed):
        raise UsageError(
            f"{folder}: holds a run of {begun.preset} with seed {begun.train.seed}: name another folder with --out"
        )


def _train(folder: Path, data: Path, settings: Config, device: str, console: Console) -> None:
    """Train, go on training, or leave it, as far as it had come."""
    if (folder / "last.safetensors").exists():
        _say(console, f"{folder} is trained already: remove it to begin anew.")
        return
    resume = bool(states(folder / "state"))
    try:
        train(
            PRESET,
            data,
            folder,
            config=None if resume else settings,
            resume=resume,
            device=device,
            console=console,
        )
    except KeyboardInterrupt:
        _say(console, "The demo goes on from there by itself when it is started again.")
        raise


def _use(folder: Path, data: Path, device: str, console: Console) -> Evaluation:
    """What a trained model is for."""
    best = folder / "best.safetensors"
    model = best if best.exists() else folder / "last.safetensors"
    with progress_bar("evaluating") as progress:
        evaluation = evaluate(model, data, "test", folder / "evaluation", device=device, progress=progress)
    console.print(evaluation.to_table())
    dataset = load_dataset([data], "test")
    some = [example.picture for example in dataset.examples[:DRAWN]]
    predict(model, some, folder / "predictions", score_threshold=DRAWN_ABOVE, device=device)
    report = write_report(folder, folder, Evaluated(dataset, evaluation, "test"))
    _say(console, f"mAP at IoU .5 on {evaluation.images} unseen pictures: {evaluation.result.voc_map or 0:.3f}")
    _say(console, f"Look at {report}, and at the pictures in {folder / 'predictions'}.")
    _say(console, f"Use it: frcnn predict {model} PICTURE")
    return evaluation


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, emoji=False, soft_wrap=True)
