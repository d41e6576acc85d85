"""What a training leaves for people when it has come to its end: report.html."""

from frcnn.drawing import describe_undrawable
from frcnn.evaluation.reporting.evaluated import Evaluated
from frcnn.evaluation.reporting.report import NAME, write_report
from frcnn.evaluation.run import evaluate_model
from frcnn.training.log import Display
from frcnn.training.run import Training
from frcnn.weights.model_file import load_model


def leave_report(run: Training, display: Display) -> None:
    """The curves, and what the best weights find in what was held out.

    Whatever goes wrong is said in a line: the training is done, and its weights are kept.
    """
    if not run.is_main:
        return
    try:
        path = write_report(run.out, run.out, _held_out(run, display))
    except Exception as error:
        display.say(f"{run.out / NAME}: could not be written: {' '.join(str(error).split()) or type(error).__name__}")
    else:
        display.say(f"Look at {path}")
        if run.validation is not None and (lacking := describe_undrawable(run.train.class_names)):
            display.say(lacking)


def _held_out(run: Training, display: Display) -> Evaluated | None:
    """None where nothing was held out."""
    best = run.out / "best.safetensors"
    if run.validation is None or not best.is_file():
        return None
    advance = display.beside("reporting", len(run.validation))
    evaluation = evaluate_model(
        load_model(best).to(run.fabric.device),
        run.validation,
        workers=run.config.data.workers,
        precision=run.precision,
        with_losses=False,
        progress=lambda done, _: advance(done),
    )
    return Evaluated(run.validation, evaluation, "val")
