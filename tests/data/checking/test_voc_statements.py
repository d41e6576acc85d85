"""What VOC's files say, with lines; the faults are planted in test_check.py."""

import math
import unicodedata
from pathlib import Path

import pytest
from data_sets import name_of, things, write_voc

from frcnn.data.checking.voc_statements import element_lines, take_down_voc
from frcnn.data.voc import VocSet, recognise_voc


def opened(root: Path) -> VocSet:
    found = recognise_voc(root)
    assert found is not None
    return found


def test_everything_with_its_line(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "set", {"train": [3], "test": [4]})
    said = take_down_voc(opened(root))
    assert said.findings == ()
    assert said.class_names == ("square", "circle")
    picture = said.pictures[0]
    assert (picture.path, picture.is_there) == (root / "JPEGImages/p03.jpg", True)
    assert (picture.size, picture.line, picture.size_line) == ((96, 128), 2, 3)
    objects = said.objects
    assert objects.picture.tolist() == [0, 0, 0, 1, 1, 1]
    assert objects.place.tolist() == [1, 2, 3] * 2
    assert objects.line[:3].tolist() == [9, 18, 27]
    assert objects.class_line[:3].tolist() == [8, 17, 26]
    assert objects.numbers[0].tolist() == [14, 9, 53, 40] == [things(3)[0][1][0] + 1, 9, 53, 40]
    assert [(listing.split, listing.picture, listing.line) for listing in said.listings] == [
        ("train", 0, 1),
        ("test", 1, 1),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_lines_in_any_encoding(encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n<a>\n<b>ä</b><c/>\n\n<d/></a>'
    assert element_lines(text.encode(encoding)) == [2, 3, 3, 5]


def test_an_object_without_a_box_does_not_hide_the_others(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "set", {"train": [3]})
    path = root / "Annotations/p03.xml"
    path.write_text(path.read_text().replace("<bndbox>", "<box>", 1).replace("</bndbox>", "</box>", 1))
    said = take_down_voc(opened(root))
    assert [(finding.kind, finding.line) for finding in said.findings] == [("unreadable object", 7)]
    assert said.objects.place.tolist() == [2, 3]


def test_what_is_no_number_is_taken_down_as_none(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "set", {"train": [3]})
    path = root / "Annotations/p03.xml"
    path.write_text(path.read_text().replace("<xmin>14</xmin>", "").replace("<width>128", "<width>0"))
    said = take_down_voc(opened(root))
    assert math.isnan(said.objects.numbers[0, 0])
    assert said.written_box(0) == "(nothing, 9, 53, 40)"
    assert said.pictures[0].size is None


def test_no_lists_at_all(tmp_path: Path) -> None:
    """Without the folder all is trainval, as for the reader; with an empty one nothing can be trained on."""
    root = write_voc(tmp_path / "set", {"train": [3, 4]})
    (root / "ImageSets/Main/train.txt").unlink()
    assert [finding.kind for finding in take_down_voc(opened(root)).findings] == ["no split"]
    (root / "ImageSets/Main").rmdir()
    (root / "ImageSets").rmdir()
    said = take_down_voc(opened(root))
    assert said.findings == ()
    assert {listing.split for listing in said.listings} == {"trainval"}


def test_a_line_that_is_more_than_a_name_is_told_why(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "set", {"train": [0, 1]})
    (root / "ImageSets/Main/train.txt").write_text("p00  1\np01.jpg\np02\np01\n")
    of_flag, of_ending, of_none, unlisted = (finding.message for finding in take_down_voc(opened(root)).findings)
    assert of_flag.startswith("names 'p00  1', but there is no ")
    assert of_flag.endswith("a flag behind each name: leave 'p00' alone in the line")
    assert of_ending.endswith("names stand in a list without their ending: write 'p01'")
    assert of_none.endswith("p02.xml: add it, or take the line out")
    assert unlisted.startswith("1 annotation in no split")


def test_names_in_either_form_of_unicode(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "set", {"train": [0]})
    whole, apart = (unicodedata.normalize(form, "사진") for form in ("NFC", "NFD"))
    for folder, ending in (("Annotations", "xml"), ("JPEGImages", "jpg")):
        (root / folder / f"p00.{ending}").rename(root / folder / f"{apart}.{ending}")
    (root / "ImageSets/Main/train.txt").write_text(f"{whole}\n", encoding="utf-8")
    said = take_down_voc(opened(root))
    assert said.findings == ()
    assert [listing.picture for listing in said.listings] == [0]


def test_many_of_a_kind_are_one_line(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "set", {"train": range(8)})
    (root / "ImageSets/Main/train.txt").write_text(f"{name_of(0)}\n")
    for number in (6, 7):
        (root / "Annotations" / f"{name_of(number)}.xml").unlink()
    told = {finding.kind: finding.message for finding in take_down_voc(opened(root)).findings}
    assert told["annotation in no split"].startswith("5 annotations in no split (p01, p02, p03 ...)")
    assert told["picture without annotation"].startswith("2 pictures without annotation (p06.jpg, p07.jpg)")
