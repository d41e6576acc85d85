"""report.html: one page that tells a run, with nothing outside it, for a desk and a phone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from frcnn.config import Config, load_config, to_toml
from frcnn.errors import FrcnnError
from frcnn.evaluation.history import read_history
from frcnn.evaluation.reporting.error_files import write_error_pictures
from frcnn.evaluation.reporting.evaluated import Evaluated
from frcnn.evaluation.reporting.evaluation_values import evaluation_tiles, evaluation_values, picture_values
from frcnn.evaluation.reporting.texts import texts
from frcnn.evaluation.reporting.training_values import settings, training_charts, training_tiles
from frcnn.evaluation.results import write_evaluation
from frcnn.files import write_text
from frcnn.pages import render_page
from frcnn.texts import Language, Texts

NAME, ERRORS = "report.html", "errors"
CONFIG, METRICS = "config.toml", "metrics.jsonl"  # of a run
NO_EVALUATION = {"tiles": [], "class_table": None, "groups": []}
NO_TRAINING = {"tiles": [], "is_run": False, "charts": [], "settings": []}


def write_report(
    folder: Path, run: Path | None = None, evaluated: Evaluated | None = None, language: Language = "en"
) -> Path:
    """Write `folder`/report.html: of the training in the folder `run`, as far as it has come, and of an evaluation.

    Raises FrcnnError, naming the file, where the disk refuses.
    """
    say = texts(language)
    config = None if run is None else _config(run)
    training = NO_TRAINING if run is None else _training_values(run, config, say)
    evaluation = NO_EVALUATION if evaluated is None else _evaluation_values(evaluated, say)
    values = {
        **training,
        **evaluation,
        "title": say("page.title", name=(run or folder).resolve().name),
        "subtitle": _subtitle(config, evaluated, say),
        "tiles": [*evaluation["tiles"], *training["tiles"]],
    }
    path = folder / NAME
    write_text(path, render(say, values))
    return path


def write_results(folder: Path, evaluated: Evaluated, run: Path | None = None, language: Language = "en") -> None:
    """All that an evaluation leaves in its folder, which is made: the numbers first, then pictures and the page.

    Raises FrcnnError, naming the file, where the disk refuses.
    """
    write_evaluation(folder, evaluated.evaluation)
    write_error_pictures(folder / ERRORS, evaluated.judged)
    write_report(folder, run, evaluated, language)


def run_of(model: object) -> Path | None:
    """The folder of the run that a model file lies in; None for any other model."""
    if not isinstance(model, (str, Path)) or not Path(model).is_file():
        return None
    folder = Path(model).parent
    return folder if all((folder / name).is_file() for name in (CONFIG, METRICS)) else None


def render(say: Texts, values: Mapping[str, Any]) -> str:
    """The page; whatever is not our own markup is escaped."""
    folder = ("frcnn.evaluation.reporting", "page")
    return render_page("report.html.jinja", folder, say=say, language=say.language, **values)


def _config(run: Path) -> Config | None:
    """None where it cannot be used: a model needs nothing beside it to be evaluated."""
    try:
        return load_config(run / CONFIG)
    except FrcnnError:
        return None


def _subtitle(config: Config | None, evaluated: Evaluated | None, say: Texts) -> str:
    parts = ["Faster R-CNN"]
    if config is not None:
        parts.append(say("page.preset", name=config.preset))
    if evaluated is not None:
        parts.append(say("page.classes", number=len(evaluated.dataset.class_names)))
        parts.append(say("page.split", name=evaluated.split))
    return " · ".join(parts)


def _training_values(run: Path, config: Config | None, say: Texts) -> dict[str, Any]:
    history = read_history(run / METRICS)
    return {
        "tiles": training_tiles(history, say),
        "is_run": True,
        "charts": training_charts(history, say),
        "settings": [] if config is None else settings(config, history, say),
        "config_text": "" if config is None else to_toml(config),
    }


def _evaluation_values(evaluated: Evaluated, say: Texts) -> dict[str, Any]:
    return {
        "tiles": evaluation_tiles(evaluated.evaluation, evaluated.analysis, say),
        **evaluation_values(evaluated.evaluation, evaluated.analysis, say),
        **picture_values(evaluated.judged, say),
    }
