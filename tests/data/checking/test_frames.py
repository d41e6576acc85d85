"""Of which picture an annotation speaks; the usual cases are planted in test_check.py."""

from pathlib import Path

import pytest
from data_sets import name_of, write_annotation, write_voc
from plants import turn, xml

from frcnn.data.checking.check import examine_paths
from frcnn.data.checking.frames import AGREES, OTHER_BUT_FITS, TURN_DOUBTFUL, TURN_KNOWN, TURN_NOT_KNOWN, UNSEEN

TALL, WIDE, EITHER = (10, 20, 90, 120), (20, 10, 120, 90), (10, 20, 80, 90)


@pytest.mark.parametrize(
    ("declared", "box", "orientation", "verdict", "frame"),
    [
        ((128, 96), EITHER, 1, AGREES, (96, 128)),
        (None, EITHER, 1, AGREES, (96, 128)),
        ((128, 96), EITHER, 6, TURN_NOT_KNOWN, (96, 128)),
        ((96, 128), EITHER, 6, TURN_KNOWN, (128, 96)),
        ((128, 96), TALL, 6, OTHER_BUT_FITS, (128, 96)),  # the tool turned it, but asked the file for its size
        (None, TALL, 6, TURN_KNOWN, (128, 96)),
        (None, WIDE, 6, TURN_NOT_KNOWN, (96, 128)),
        (None, EITHER, 6, TURN_DOUBTFUL, (128, 96)),
        ((128, 96), EITHER, 3, TURN_DOUBTFUL, (96, 128)),  # upside down, it has the same size
        ((64, 48), EITHER, 1, OTHER_BUT_FITS, (96, 128)),
    ],
)
def test_by_hand(tmp_path: Path, declared, box, orientation: int, verdict: int, frame: tuple[int, int]) -> None:
    """`declared` is width and height; the picture is stored as 128x96."""
    root = write_voc(tmp_path / "set", {"train": [0, 1]})
    write_annotation(root, name_of(0), [("square", box)])
    text = xml(root, name_of(0)).read_text()
    width, height = declared or (0, 0)
    text = text.replace("<width>128", f"<width>{width}").replace("<height>96", f"<height>{height}")
    xml(root, name_of(0)).write_text(text)
    turn(root / "JPEGImages/p00.jpg", orientation)
    examination, _ = examine_paths([root])
    frames = examination.sets[0].frames
    assert (frames.verdicts[0], tuple(frames.sizes[0].tolist())) == (verdict, frame)


def test_without_a_picture_nothing_leaves_it(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "set", {"train": [0, 1]})
    (root / "JPEGImages/p00.jpg").unlink()
    text = xml(root, name_of(0)).read_text().replace("<width>128", "<width>").replace("<xmax>50", "<xmax>5000")
    xml(root, name_of(0)).write_text(text)
    examination, _ = examine_paths([root])
    assert examination.sets[0].frames.verdicts[0] == UNSEEN
    assert not examination.sets[0].boxes.faults.any()
