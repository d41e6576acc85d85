"""The reader of PASCAL VOC: numbers that a person can check, and everything that a file may have wrong."""

import math
import os
import re
import unicodedata

import pytest
from conftest import voc_xml

from frcnn.data.box_faults import NO_AREA, NOT_FOUR_NUMBERS
from frcnn.data.dataset import load_dataset
from frcnn.data.index import NO_PICTURE, READABLE
from frcnn.data.voc import Annotation, VocObject, VocSet, half_open, read_annotation, recognise_voc
from frcnn.data.xml_text import LARGEST_FILE
from frcnn.errors import DataError
from frcnn.ops.boxes import box_area


@pytest.fixture
def read(tmp_path):
    """Reads an annotation of the given text (or bytes)."""

    def read_text(text: str | bytes) -> Annotation:
        path = tmp_path / "000001.xml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return read_annotation(path)

    return read_text


def opened(path) -> VocSet:
    found = recognise_voc(path)
    assert found is not None
    return found


def fails(path) -> str:
    with pytest.raises(DataError) as caught:
        recognise_voc(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


class TestBoxes:
    @pytest.mark.parametrize(
        ("corners", "expected"),
        [
            ((1, 1, 10, 5), (0, 0, 10, 5)),
            ((3, 2, 4, 5), (2, 1, 4, 5)),
            ((1.5, 2.25, 7.5, 8.75), (0.5, 1.25, 7.5, 8.75)),
        ],
    )
    def test_half_open_by_hand(self, corners, expected):
        """Row 2: x1 - 1, y1 - 1, x2, y2."""
        assert half_open(corners) == expected

    def test_a_box_covers_as_many_pixels_as_the_devkit_counts(self, make_voc):
        """Rows 1 and 2: the half-open area is the devkit's (x2 - x1 + 1) * (y2 - y1 + 1)."""
        root = make_voc({"a": [("cat", (11, 5, 20, 7))]}, {"train": ["a"]})
        (example,) = load_dataset([root], "train").examples
        assert example.target.boxes.tolist() == [[10, 4, 20, 7]]
        assert box_area(example.target.boxes).item() == (20 - 11 + 1) * (7 - 5 + 1)

    @pytest.mark.parametrize("corners", [(5, 2, 5, 8), (2, 5, 8, 5), (8, 2, 5, 8), (2, 8, 5, 5), (7, 7, 7, 7)])
    def test_validity_is_judged_on_the_numbers_of_the_file(self, make_voc, corners):
        """Row 2: xmax > xmin and ymax > ymin before conversion, which would make (5, 2, 5, 8) one pixel wide."""
        index = opened(make_voc({"a": [("cat", corners)]}, {"train": ["a"]})).read()
        assert index.faults.tolist() == [NO_AREA]

    @pytest.mark.parametrize("number", ["x", "nan", ""])
    def test_what_is_no_number_is_a_bad_box(self, make_voc, number):
        index = opened(make_voc({"a": [("cat", (1, 1, number, 5))]}, {"train": ["a"]})).read()
        assert index.faults.tolist() == [NOT_FOUR_NUMBERS]


class TestAnnotation:
    def test_only_name_and_bndbox_are_required(self, read):
        annotation = read(voc_xml([("cat", (1, 2, 30, 40))]))
        assert annotation.picture_name == ""
        assert annotation.objects == (VocObject("cat", (1, 2, 30, 40), difficult=False),)

    def test_a_full_annotation(self, read):
        """With parts in another order, a nested name and spaces: as other tools write it."""
        annotation = read(
            """<?xml version="1.0"?>
            <annotation>
              <filename>elsewhere/photo.png</filename>
              <size><width>9</width><height>9</height></size>
              <object>
                <bndbox><ymax> 4.5 </ymax><xmax>8</xmax><ymin>2</ymin><xmin>1e0</xmin></bndbox>
                <part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>
                <difficult> 1 </difficult><truncated>1</truncated><pose>Left</pose>
                <name> person </name>
              </object>
            </annotation>"""
        )
        assert annotation.picture_name == "photo.png"
        assert annotation.objects == (VocObject("person", (1, 2, 8, 4.5), difficult=True),)

    @pytest.mark.parametrize(
        ("text", "difficult"),
        [("1", True), ("true", True), ("Yes", True), ("0", False), ("", False), ("Unspecified", False)],
    )
    def test_difficult(self, read, text, difficult):
        """Row 23: difficult objects are known as such; whoever does not say, means no."""
        inner = voc_xml([("cat", (1, 1, 2, 2))]).replace("<bndbox>", f"<difficult>{text}</difficult><bndbox>")
        assert read(inner).objects[0].difficult is difficult

    def test_no_objects(self, read):
        """Row 30: a picture without objects is a picture."""
        assert read("<annotation/>").objects == ()

    @pytest.mark.parametrize(("encoding"), ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "cp1252"])
    def test_encodings(self, read, encoding):
        declared = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>\n'
        annotation = read((declared + voc_xml([("Kätzchen", (1, 1, 2, 2))])).encode(encoding))
        assert annotation.objects[0].name == "Kätzchen"

    @pytest.mark.parametrize("number", ["", "abc", "1,5"])
    def test_a_corner_that_is_no_number_is_a_bad_box(self, read, number):
        """It may be skipped like any other bad box, and so does not stop the reading."""
        text = voc_xml([("cat", (1, 1, 7, 8))]).replace("<xmax>7</xmax>", f"<xmax>{number}</xmax>")
        assert math.isnan(read(text).objects[0].corners[2])

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("<annotation>\n<object>\n</annotation>", "line 3: is no whole XML (mismatched tag"),
            ("<annotation>\n  <object><name>cat</name>", "line 2: is no whole XML (no element found"),
            ("", "line 1: is no whole XML"),
            ("just text", "line 1: is no whole XML"),
            ("<html/>", "begins with <html> instead of <annotation>"),
            ('<?xml version="1.0" encoding="klingon"?><annotation/>', "names an unknown encoding"),
            ('<?xml version="1.0" encoding="hex"?><annotation/>', "names an unknown encoding"),
            ("<annotation><object><bndbox/></object></annotation>", "object 1 has no <name>"),
            ("<annotation><object><name> </name></object></annotation>", "object 1 has no <name>"),
            (
                "<annotation><object><name>a\n b</name></object></annotation>",
                "the name of object 1 holds the end of a line ('a\\n b'): mend it",
            ),
            (
                "<annotation><object><name>a</name><bndbox/></object><object><name>b</name></object></annotation>",
                "object 2 (b) has no <bndbox>",
            ),
        ],
    )
    def test_what_is_wrong_is_told_in_one_line_with_the_file(self, read, tmp_path, text, expected):
        with pytest.raises(DataError, match=re.escape(expected)) as caught:
            read(text)
        assert str(caught.value).startswith(f"{tmp_path / '000001.xml'}")
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
    def test_entities_are_refused_before_they_grow(self, read, encoding):
        laughs = '<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;&b;">]>\n<annotation>&c;</annotation>'
        with pytest.raises(DataError, match="declares XML entities"):
            read(laughs.encode(encoding))

    def test_too_large_to_be_one(self, tmp_path):
        """Told from its size, before it is read."""
        path = tmp_path / "film.xml"
        path.touch()
        os.truncate(path, LARGEST_FILE + 1)  # takes no room on the disk
        with pytest.raises(DataError, match=r"film\.xml: is too large for an annotation"):
            read_annotation(path)

    def test_absent(self, tmp_path):
        with pytest.raises(DataError, match=r"absent\.xml: cannot be read \(No such file"):
            read_annotation(tmp_path / "absent.xml")


class TestSets:
    def test_a_set_and_its_splits(self, make_voc):
        root = make_voc({"a": [], "b": [], "c": []}, {"train": ["b", "a"], "val": ["c"]})
        found = opened(root)
        assert found.folder == root
        assert found.splits == {"train": ("b", "a"), "val": ("c",), "trainval": ("b", "a", "c")}

    def test_lists_may_hold_blank_lines_marks_and_repeats(self, make_voc):
        root = make_voc({"a": [], "b": []}, {"train": ["a"]})
        (root / "ImageSets/Main/train.txt").write_bytes(b"\xef\xbb\xbfb\r\n\r\n  a  \r\nb\r\n")
        assert opened(root).splits["train"] == ("b", "a")

    def test_lists_of_classes_are_no_splits(self, make_voc):
        root = make_voc({"a": []}, {"trainval": ["a"], "cat_trainval": ["a"]})
        assert list(opened(root).splits) == ["trainval"]

    def test_without_image_sets_everything_is_trainval(self, make_voc):
        root = make_voc({"b": [], "a": []})
        assert opened(root).splits == {"trainval": ("a", "b")}

    def test_the_picture_is_found_by_id_before_its_name_in_the_file(self, make_voc):
        """As the devkit does it: file names in annotations are often those of another machine."""
        root = make_voc({"a": [], "b": []}, {"train": ["a", "b"]})
        found = opened(root)
        named_b = Annotation(root / "Annotations/a.xml", "b.jpg", ())
        assert found.picture(named_b).name == "a.jpg"
        by_name = Annotation(root / "Annotations/zzz.xml", "b.jpg", ())
        assert found.picture(by_name).name == "b.jpg"

    def test_other_kinds_of_picture(self, make_voc):
        root = make_voc({"a": []}, {"train": ["a"]})
        (root / "JPEGImages/a.jpg").rename(root / "JPEGImages/a.PNG")
        found = opened(root)
        assert found.picture(Annotation(found.annotation("a"), "", ())).name == "a.PNG"

    def test_a_missing_picture(self, make_voc):
        root = make_voc({"a": []}, {"train": ["a"]})
        (root / "JPEGImages/a.jpg").unlink()
        found = opened(root)
        assert found.picture(Annotation(found.annotation("a"), "", ())) is None
        assert found.read().states.tolist() == [NO_PICTURE]

    def test_names_in_either_form_of_unicode(self, make_voc):
        """macOS takes Korean syllables apart, lists written elsewhere do not: on the screen they are the same."""
        whole, apart = (unicodedata.normalize(form, "사진 é") for form in ("NFC", "NFD"))
        assert whole != apart
        root = make_voc({apart: [("cat", (1, 1, 9, 9))], "b": []}, {"train": [whole, "b"], "val": [apart]})
        (root / f"JPEGImages/{apart}.jpg").rename(root / f"JPEGImages/{whole}.jpg")
        found = opened(root)
        assert found.splits == {"train": (apart, "b"), "val": (apart,), "trainval": (apart, "b")}
        index = found.read()
        assert index.states.tolist() == [READABLE, READABLE]
        assert index.picture_names[0] == f"JPEGImages/{whole}.jpg"
        assert found.as_on_disk(whole) == found.as_on_disk(apart) == apart

    def test_a_list_that_takes_names_apart(self, make_voc):
        whole, apart = (unicodedata.normalize(form, "고양이") for form in ("NFC", "NFD"))
        root = make_voc({whole: [("cat", (1, 1, 9, 9))]}, {"train": [apart]})
        assert opened(root).read().states.tolist() == [READABLE]

    def test_no_voc_set(self, tmp_path):
        assert recognise_voc(tmp_path) is None
        assert recognise_voc(tmp_path / "absent") is None

    def test_annotations_without_pictures(self, tmp_path):
        """Where names know no case, COCO's folder of JSON files is called so too."""
        (tmp_path / "Annotations").mkdir()
        assert recognise_voc(tmp_path) is None
        (tmp_path / "Annotations/a.xml").touch()
        assert "has Annotations but no JPEGImages" in fails(tmp_path)

    def test_no_annotation(self, tmp_path):
        (tmp_path / "Annotations").mkdir()
        (tmp_path / "JPEGImages").mkdir()
        (tmp_path / "Annotations/._a.xml").touch()  # what a Mac leaves behind
        assert "is empty: there is no .xml" in fails(tmp_path)

    def test_a_list_that_is_no_text(self, make_voc):
        root = make_voc({"a": []}, {"train": ["a"]})
        (root / "ImageSets/Main/train.txt").write_bytes(b"\xff\xfe\xff")
        assert "train.txt: is no text in UTF-8" in fails(root)
