"""What is said before the first step."""

from pathlib import Path

import pytest
from small_runs import run


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("train.batch_size=4",), "batch norm: live over 4 pictures,"),
        (("train.batch_size=4", "train.accumulate=4"), "batch norm: live over 1 picture,"),
        (("model.backbone.batch_norm=frozen",), "batch norm: frozen,"),
    ],
)
def test_what_live_batch_norm_is_taken_over(
    voc_set: Path, tmp_path: Path, settings: tuple[str, ...], said: str
) -> None:
    assert said in run(voc_set, tmp_path / "run", "train.steps=1", "data.validation=0", *settings)


def test_a_size_that_training_does_not_draw_is_told_of(voc_set: Path, tmp_path: Path) -> None:
    said = run(voc_set, tmp_path / "run", "train.steps=1", "data.scales=[48, 60]")
    assert "Training draws short sides of 48, 60 (data.scales); model.input.short_side = 64 is for validation" in said
    said = run(voc_set, tmp_path / "drawn", "train.steps=1", "data.scales=[48, 64]")
    assert "Training draws" not in said


def test_anchors_are_told_of_at_the_sizes_that_training_draws(make_voc, tmp_path: Path) -> None:
    """A size that only detection would see does not count, and one that is drawn does."""
    data = make_voc({name: [("cat", (1, 1, 3, 3))] for name in "ab"}, {"trainval": list("ab")})
    settings = ("train.steps=1", "data.validation=0", "data.crop=0", "model.rpn.cross_border_anchors=false")
    small = run(data, tmp_path / "small", *settings, "data.scales=[32, 48]")
    assert "of 2 objects" in small
    assert " at any of the short sides 32, 48, so" in small
    assert "of 2 objects" not in run(data, tmp_path / "large", *settings, "data.scales=[32, 480]")
