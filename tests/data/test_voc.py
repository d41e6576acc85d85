"""The reader of PASCAL VOC: numbers that a person can check, and everything that a file may have wrong."""

import math
import os
import re

import pytest
from conftest import voc_xml

from frcnn.data.voc import LARGEST_FILE, Annotation, VocObject, box_problem, find_voc_sets, half_open, read_annotation
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


def fails(path) -> str:
    with pytest.raises(DataError) as caught:
        find_voc_sets(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


class TestBoxes:
    @pytest.mark.parametrize(
        ("corners", "size", "expected"),
        [
            ((1, 1, 10, 5), (5, 10), (0, 0, 10, 5)),  # the whole picture
            ((3, 2, 4, 5), (9, 9), (2, 1, 4, 5)),
            ((1.5, 2.25, 7.5, 8.75), (9, 9), (0.5, 1.25, 7.5, 8.75)),  # decimals stay
            ((0, 0, 10, 5), (5, 10), (0, 0, 10, 5)),  # a 0-based file: clipped, not -1
            ((1, 1, 11, 6), (5, 10), (0, 0, 10, 5)),
        ],
    )
    def test_half_open_by_hand(self, corners, size, expected):
        """Row 2: x1 - 1, y1 - 1, x2, y2; what leaves the picture by a pixel is clipped in silence."""
        assert half_open(corners, size) == expected
        assert box_problem(corners, size) is None

    def test_a_box_covers_as_many_pixels_as_the_devkit_counts(self, make_voc):
        """Rows 1 and 2: the half-open area is the devkit's (x2 - x1 + 1) * (y2 - y1 + 1)."""
        from frcnn.data.dataset import load_dataset

        root = make_voc({"a": [("cat", (11, 5, 20, 7))]}, {"train": ["a"]})
        (example,) = load_dataset([root], "train").examples
        assert example.target.boxes.tolist() == [[10, 4, 20, 7]]
        assert box_area(example.target.boxes).item() == (20 - 11 + 1) * (7 - 5 + 1)

    @pytest.mark.parametrize("corners", [(5, 2, 5, 8), (2, 5, 8, 5), (8, 2, 5, 8), (2, 8, 5, 5), (7, 7, 7, 7)])
    def test_validity_is_judged_on_the_numbers_of_the_file(self, corners):
        """Row 2: xmax > xmin and ymax > ymin before conversion, which would make (5, 2, 5, 8) one pixel wide."""
        problem = box_problem(corners, (20, 20))
        assert problem is not None
        assert "no area" in problem

    @pytest.mark.parametrize(
        "corners",
        [(-1, 1, 9, 9), (1, -0.5, 9, 9), (1, 1, 12, 9), (1, 1, 9, 11.5), (13, 2, 17, 8), (-9, -9, -2, -2)],
    )
    def test_more_than_a_pixel_outside(self, corners):
        """Row 2: only what leaves the picture by at most 1 px is clipped."""
        problem = box_problem(corners, (10, 10))
        assert problem is not None
        assert "10x10" in problem

    @pytest.mark.parametrize("corners", [(11, 2, 11.5, 8), (2, 0, 5, 1e-9)])
    def test_nothing_left_inside(self, corners):
        """A box that is within the margin, yet without area after clipping, is no box."""
        assert box_problem(corners, (10, 10)) is not None

    @pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
    def test_no_number(self, number):
        assert box_problem((1, 1, number, 5), (9, 9)) == "is not made of four numbers"

    def test_any_valid_box_lies_inside_and_has_area(self):
        """By law, over all whole-numbered boxes in and around a small picture."""
        height, width = 4, 6
        sides = range(-2, 9)
        boxes = [(a, b, c, d) for a in sides for b in sides for c in sides for d in sides]
        valid = [half_open(box, (height, width)) for box in boxes if box_problem(box, (height, width)) is None]
        assert valid
        assert all(0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height for x1, y1, x2, y2 in valid)
        assert {(0, 0, width, height), (0, 0, 2, 2), (1, 1, 3, 3)} <= set(valid)


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

    @pytest.mark.parametrize(("encoding"), ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1"])
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
            ('<?xml version="1.0" encoding="klingon"?><annotation/>', "line 1"),
            ("<annotation><object><bndbox/></object></annotation>", "object 1 has no <name>"),
            ("<annotation><object><name> </name></object></annotation>", "object 1 has no <name>"),
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
        (found,) = find_voc_sets(root)
        assert found.folder == root
        assert found.splits == {"train": ("b", "a"), "val": ("c",), "trainval": ("b", "a", "c")}

    def test_lists_may_hold_blank_lines_marks_and_repeats(self, make_voc):
        root = make_voc({"a": [], "b": []}, {"train": ["a"]})
        (root / "ImageSets/Main/train.txt").write_bytes(b"\xef\xbb\xbfb\r\n\r\n  a  \r\nb\r\n")
        assert find_voc_sets(root)[0].splits["train"] == ("b", "a")

    def test_lists_of_classes_are_no_splits(self, make_voc):
        root = make_voc({"a": []}, {"trainval": ["a"], "cat_trainval": ["a"]})
        assert list(find_voc_sets(root)[0].splits) == ["trainval"]

    def test_without_image_sets_everything_is_trainval(self, make_voc):
        root = make_voc({"b": [], "a": []})
        assert find_voc_sets(root)[0].splits == {"trainval": ("a", "b")}

    @pytest.mark.parametrize("above", ["VOCdevkit", "."])
    def test_years_are_found_below(self, make_voc, tmp_path, above):
        for name in ("VOCdevkit/VOC2012", "VOCdevkit/VOC2007", "VOCdevkit/.hidden"):
            make_voc({"a": []}, {"train": ["a"]}, name=name)
        names = [found.folder.name for found in find_voc_sets(tmp_path / above)]
        assert names == ["VOC2007", "VOC2012"]

    def test_the_picture_is_found_by_id_before_its_name_in_the_file(self, make_voc):
        """As the devkit does it: file names in annotations are often those of another machine."""
        root = make_voc({"a": [], "b": []}, {"train": ["a", "b"]})
        (found,) = find_voc_sets(root)
        named_b = Annotation(root / "Annotations/a.xml", "b.jpg", ())
        assert found.picture(named_b).name == "a.jpg"
        by_name = Annotation(root / "Annotations/zzz.xml", "b.jpg", ())
        assert found.picture(by_name).name == "b.jpg"

    def test_other_kinds_of_picture(self, make_voc):
        root = make_voc({"a": []}, {"train": ["a"]})
        (root / "JPEGImages/a.jpg").rename(root / "JPEGImages/a.PNG")
        (found,) = find_voc_sets(root)
        assert found.picture(Annotation(found.annotation("a"), "", ())).name == "a.PNG"

    def test_a_missing_picture(self, make_voc):
        root = make_voc({"a": []}, {"train": ["a"]})
        (root / "JPEGImages/a.jpg").unlink()
        (found,) = find_voc_sets(root)
        with pytest.raises(DataError, match=r"a\.xml: its picture .*JPEGImages/a\.jpg is missing"):
            found.picture(Annotation(found.annotation("a"), "", ()))

    def test_no_such_folder(self, tmp_path):
        assert "does not exist" in fails(tmp_path / "absent")

    def test_a_file(self, tmp_path):
        (tmp_path / "photo.jpg").touch()
        assert "photo.jpg: is a file" in fails(tmp_path / "photo.jpg")

    def test_an_empty_folder(self, tmp_path):
        assert fails(tmp_path) == (
            f"{tmp_path}: is no VOC data set (a folder with Annotations and JPEGImages, or one that holds such folders)"
        )

    def test_annotations_without_pictures(self, tmp_path):
        (tmp_path / "Annotations").mkdir()
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
