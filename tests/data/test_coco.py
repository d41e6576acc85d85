"""The reader of COCO's JSON files: ids, splits, where the pictures lie, and what is refused."""

import json
import math
import os
import unicodedata

import numpy as np
import pytest
from PIL import Image

from frcnn.data.box_faults import NO_AREA, NOT_FOUR_NUMBERS, OUTSIDE
from frcnn.data.coco import PEEKED, CocoSet, recognise_coco
from frcnn.data.coco_places import LOOKED_FOR
from frcnn.data.coco_reading import corners_of
from frcnn.data.dataset import load_dataset
from frcnn.data.index import CROWD, DIFFICULT
from frcnn.errors import DataError


def content(**changes):
    """Two pictures, two classes whose ids are neither in order nor without gaps, three objects not in order."""
    return {
        "images": [
            {"id": 70, "file_name": "one.jpg", "height": 48, "width": 64},
            {"id": 5, "file_name": "two.jpg", "height": 30, "width": 40},
        ],
        "annotations": [
            {"id": 11, "image_id": 5, "category_id": 90, "bbox": [1, 2, 10.5, 20], "area": 99.5, "iscrowd": 0},
            {"id": 12, "image_id": 70, "category_id": 3, "bbox": [0, 0, 64, 48], "iscrowd": 1},
            {"id": 13, "image_id": 5, "category_id": 3, "bbox": [5, 5, 5, 5], "ignore": 1},
        ],
        "categories": [{"id": 90, "name": "zebra"}, {"id": 3, "name": "ant"}, {"id": 44, "name": "unseen"}],
    } | changes


def flagged(**said):
    return {"id": 7, "image_id": 5, "category_id": 3, "bbox": [1, 1, 10, 20]} | said


@pytest.fixture
def write(tmp_path):
    """Writes a JSON file, and pictures for it into a folder."""

    def write_file(what, name="annotations/instances_train2017.json", folder="train2017"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(what))
        for image in what.get("images", []):
            picture = tmp_path / folder / image["file_name"]
            picture.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (image["width"], image["height"])).save(picture)
        return path

    return write_file


def opened(path) -> CocoSet:
    found = recognise_coco(path)
    assert found is not None
    return found


def refused(path) -> str:
    with pytest.raises(DataError) as caught:
        opened(path).read()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("reverse", [False, True])
def test_by_hand(write, tmp_path, reverse):
    """Row 5 of users.md: any ids; the lists may stand in any order."""
    whole = content()
    write(dict(reversed(whole.items())) if reverse else whole)
    index = opened(tmp_path).read()
    assert index.class_names == ("ant", "unseen", "zebra")
    assert index.category_ids == (3, 44, 90)
    assert index.splits["train"].tolist() == [0, 1]
    assert [index.picture_names[i] for i in range(2)] == ["train2017/one.jpg", "train2017/two.jpg"]
    assert index.annotation_names[int(index.annotation_of[1])] == "annotations/instances_train2017.json"
    assert index.identities.tolist() == [70, 5]
    assert index.object_identities.tolist() == [12, 11, 13]  # by picture
    assert index.boxes.tolist() == [[0, 0, 64, 48], [1, 2, 11.5, 22], [5, 5, 10, 10]]
    assert index.class_ids.tolist() == [0, 2, 0]
    assert index.flags.tolist() == [CROWD, 0, DIFFICULT]
    assert [area for area in index.areas.tolist() if not math.isnan(area)] == [99.5]


def test_as_a_data_set(write, tmp_path):
    """Crowds and difficult objects are both to be ignored; classes stand in the order of their ids."""
    write(content())
    dataset = load_dataset([tmp_path], "train")
    assert dataset.class_names == ("ant", "unseen", "zebra")
    one, two = dataset.examples
    assert (one.identity, one.size, one.picture) == (70, (48, 64), tmp_path / "train2017/one.jpg")
    assert one.target.ignored.tolist() == [True]
    assert two.target.ignored.tolist() == [False, True]
    assert two.areas.tolist()[0] == 99.5
    assert dataset.count_learnt() == 1


def test_files_are_splits(write, tmp_path):
    """Ids may be the same in both; a class of one name is one class, whatever its id."""
    write(content())
    other = content(categories=[{"id": 1, "name": "zebra"}, {"id": 2, "name": "bee"}], annotations=[])
    other["annotations"] = [{"id": 11, "image_id": 70, "category_id": 1, "bbox": [1, 1, 5, 5]}]
    write(other, "annotations/instances_val2017.json", "val2017")
    index = opened(tmp_path).read()
    assert {name: numbers.tolist() for name, numbers in index.splits.items()} == {"train": [0, 1], "val": [2, 3]}
    assert index.class_names == ("ant", "unseen", "zebra", "bee")
    assert index.category_ids == ()  # zebra is 90 in one, 1 in the other: no number is a class of the set
    assert index.class_ids[index.objects_of(2)].tolist() == [2]
    assert index.picture_names[2] == "val2017/one.jpg"


@pytest.mark.parametrize(
    ("categories", "expected"),
    [
        ([{"id": 90, "name": "zebra"}, {"id": 2, "name": "bee"}], (3, 44, 90, 2)),
        ([{"id": 1, "name": "zebra"}], ()),
        ([{"id": 3, "name": "bee"}], ()),
    ],
)
def test_ids_of_classes_are_those_that_all_files_agree_on(write, tmp_path, categories, expected):
    """A further class is no quarrel; a class of two ids, or an id of two classes, is one."""
    write(content())
    write(content(categories=categories, annotations=[]), "annotations/instances_val2017.json", "val2017")
    assert opened(tmp_path).read().category_ids == expected


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ([], {3: 0, 90: 1, 44: 0}),
        ([{"id": 3, "name": "ant"}, {"id": 44, "name": "ant"}], {3: 0, 90: 1, 44: 0}),
        ([{"id": 44, "name": "ant"}], {}),
        ([{"id": 44, "name": "bee"}], {}),
    ],
)
def test_a_class_of_two_ids(write, tmp_path, other, expected):
    """In one file both mean it; in another neither may be the first, nor mean another class."""
    write(content(categories=[{"id": 90, "name": "zebra"}, {"id": 44, "name": "ant"}, {"id": 3, "name": "ant"}]))
    write(content(categories=other, annotations=[]), "annotations/instances_val2017.json", "val2017")
    assert opened(tmp_path).read().classes_by_id() == expected


def test_space_round_the_name_of_a_class_is_no_part_of_it(write, tmp_path):
    """VOC's files could not tell " ant" and "ant" apart."""
    categories = [{"id": 90, "name": "zebra "}, {"id": 3, "name": " ant"}, {"id": 44, "name": "ant"}]
    write(content(categories=categories))
    assert opened(tmp_path).read().class_names == ("ant", "zebra")


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("annotations/instances_train2017.json", "train2017"),
        ("annotations/instances_train2017.json", "images/train2017"),
        ("annotations/instances_train2017.json", "images"),
        ("annotations/instances_train2017.json", "."),
        ("train/_annotations.coco.json", "train"),
        ("train_annotations.json", "train"),
        ("annotations.json", "images"),
        ("labels.json", "data"),
        ("annotations.json", "."),
    ],
)
def test_where_pictures_lie(write, tmp_path, name, folder):
    write(content(), name, folder)
    index = opened(tmp_path).read()
    assert (tmp_path / index.picture_names[0]).is_file()
    assert os.path.normpath(tmp_path / index.picture_names[0]) == os.path.normpath(tmp_path / folder / "one.jpg")


def test_a_missing_picture_hides_no_other(write, tmp_path):
    """The first of them, of which there are more than are looked for."""
    images = [{"id": i, "file_name": f"{i}.jpg", "height": 8, "width": 8} for i in range(LOOKED_FOR + 9)]
    write(content(images=images, annotations=[]), "annotations/instances_train.json", "images/train")
    (tmp_path / "images/train/0.jpg").unlink()
    index = opened(tmp_path).read()
    assert index.picture_names[0] == "images/train/0.jpg"
    assert index.picture_names[LOOKED_FOR + 8] == f"images/train/{LOOKED_FOR + 8}.jpg"
    assert len(index) == LOOKED_FOR + 9


def test_a_whole_path_is_a_pictures_name(write, tmp_path):
    write(content(), "a.json", "elsewhere")
    whole = content()
    for image in whole["images"]:
        image["file_name"] = str(tmp_path / "elsewhere" / image["file_name"])
    path = tmp_path / "annotations/instances_train.json"
    path.parent.mkdir()
    path.write_text(json.dumps(whole))
    index = opened(path).read()
    assert index.picture_names[1] == str(tmp_path / "elsewhere/two.jpg")


@pytest.mark.parametrize(("said", "there"), [("NFC", "NFD"), ("NFD", "NFC")])
@pytest.mark.parametrize("whole", [False, True])
def test_names_in_either_form_of_unicode(write, tmp_path, said, there, whole):
    """macOS takes Korean syllables apart, other systems do not: on the screen they are the same."""
    what = content()
    for image in what["images"]:
        image["file_name"] = unicodedata.normalize(there, "사진/é " + image["file_name"])
    path = write(what)
    for image in what["images"]:
        image["file_name"] = f"{tmp_path}/train2017/" * whole + unicodedata.normalize(said, image["file_name"])
    path.write_text(json.dumps(what))
    index = opened(tmp_path).read()
    assert (tmp_path / index.picture_names[1]).is_file()
    assert index.picture_names[0] == unicodedata.normalize(there, "train2017/사진/é one.jpg")
    assert opened(tmp_path).still_holds(index)


def test_backslashes_of_windows(write, tmp_path):
    """As labelme2coco has them."""
    what = content()
    for image in what["images"]:
        image["file_name"] = "JPEGImages/" + image["file_name"]
    path = write(what, "annotations.json", ".")
    path.write_text(json.dumps(what).replace("JPEGImages/", "JPEGImages\\\\"))
    assert opened(tmp_path).read().picture_names[0] == "JPEGImages/one.jpg"


class TestStillHolds:
    """What stands in no file, and so not in the key of an index: where the pictures lie."""

    def test_nothing_moved(self, write, tmp_path):
        write(content())
        write(content(), "annotations/instances_val2017.json", "val2017")
        assert opened(tmp_path).still_holds(opened(tmp_path).read())

    @pytest.mark.parametrize("before", [".", "images", "annotations"])
    def test_pictures_that_moved(self, write, tmp_path, before):
        write(content(), "annotations/instances_val2017.json", "val2017")
        write(content(), folder=before)
        index = opened(tmp_path).read()
        (tmp_path / "train2017").mkdir()
        for name in ("one.jpg", "two.jpg"):
            (tmp_path / before / name).rename(tmp_path / "train2017" / name)
        assert not opened(tmp_path).still_holds(index)
        assert opened(tmp_path).still_holds(opened(tmp_path).read())

    def test_pictures_that_came_later(self, write, tmp_path):
        path = tmp_path / "annotations/instances_train2017.json"
        path.parent.mkdir()
        path.write_text(json.dumps(content()))
        index = opened(tmp_path).read()
        assert opened(tmp_path).still_holds(index)
        write(content())
        assert not opened(tmp_path).still_holds(index)

    def test_no_pictures(self, tmp_path):
        (tmp_path / "train.json").write_text(json.dumps(content(images=[], annotations=[])))
        assert opened(tmp_path).still_holds(opened(tmp_path).read())


def test_a_file_that_is_named_is_the_set(write, tmp_path):
    path = write(content())
    write(content(), "annotations/instances_val2017.json", "val2017")
    assert list(opened(path).read().splits) == ["train"]
    assert opened(path).title != opened(tmp_path).title


def test_files_of_other_tasks_are_passed_over(write, tmp_path):
    write(content())
    for name in ("captions_train2017", "person_keypoints_train2017", "stuff_train2017"):
        write(content(), f"annotations/{name}.json")
    (tmp_path / "package.json").write_text('{"name": "no data set"}')
    assert [part.path.name for part in opened(tmp_path).parts] == ["instances_train2017.json"]


def test_no_coco_set(tmp_path):
    assert recognise_coco(tmp_path) is None
    assert recognise_coco(tmp_path / "absent.json") is None
    (tmp_path / "a.txt").touch()
    assert recognise_coco(tmp_path / "a.txt") is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"categories": []}, "the category_id 90, which is none of its categories"),
        ({"images": []}, "the image_id 5, which is none of its images"),
        (
            {"images": [{"id": "x", "file_name": "a.jpg", "height": 1, "width": 1}]},
            "the id of image 'a.jpg' must be a whole number, not 'x'",
        ),
        ({"images": [{"id": 1, "height": 1, "width": 1}]}, "image 1 has no file_name"),
        ({"images": [{"id": 1, "file_name": "a.jpg", "width": 1}]}, "image 1 has no height: give it one"),
        ({"annotations": [{"id": 4, "category_id": 3, "bbox": [1, 1, 2, 2]}]}, "annotation 4 has no image_id"),
        ({"annotations": [[1]]}, "an item of 'annotations' is no object"),
        ({"annotations": [{"id": "a"}]}, "the id of annotation 1 in the list must be a whole number, not 'a'"),
        *(
            ({"annotations": [flagged(**{flag: value})]}, f"annotation 7 has the {flag} {value!r}, not 0 or 1: mend it")
            for flag in ("iscrowd", "difficult", "ignore")
            for value in ("0", "false", "", 2, -1, 0.5, [])
        ),
        ({"categories": [{"id": 3}]}, "category 3 has no name"),
        ({"categories": [{"id": 3, "name": " "}]}, "the name of category 3 is blank (' '): mend it"),
        ({"categories": [{"id": 3, "name": 5}]}, "the name of category 3 is no text (5): mend it"),
        ({"categories": [{"id": 3, "name": "\udce9b"}]}, "the name of category 3 holds a character that no file can"),
        ({"categories": [{"name": "ant"}]}, "category 'ant' has no id"),
        (
            {"categories": [{"id": 3, "name": "\ud800"}]},
            "the name of category 3 holds a character that no file can hold ('\\ud800')",
        ),
        ({"images": [{"id": 1, "file_name": "\ud800"}]}, "the file_name of image 1 is no text ('\\ud800')"),
        ({"images": [{"id": 2**63, "file_name": "a.jpg"}]}, "the id of image 'a.jpg' is too large to be one"),
        (
            {"images": [{"id": 1, "file_name": "a.jpg", "height": 1, "width": 3_000_000_000}]},
            "the width of image 1 is too large to be one: mend it",
        ),
        ({"categories": [{"id": 7, "name": name} for name in ("seven", "sieben")]}, "('sieben') has the id 7: give it"),
        ({"images": content()["images"] * 2}, "several images have the id 5: give each its own"),
        ({"images": None}, "has no list 'images'"),
        ({"annotations": {}}, "has no list 'annotations'"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(tmp_path, changes, message):
    path = tmp_path / "instances_train.json"
    path.write_text(json.dumps(content(**changes)))
    assert message in refused(path)
    assert refused(path).startswith(str(path))


def test_what_is_wrong_names_the_line(tmp_path):
    path = tmp_path / "instances_train.json"
    lines = ('{"id": 1, "file_name": "a.jpg", "height": 8, "width": 8}', '{"id": "img1", "file_name": "b.jpg"}')
    path.write_text('{"annotations": [],\n"images": [\n' + ",\n".join(lines) + "\n]}")
    said = "the id of image 'b.jpg' must be a whole number, not 'img1': mend it"
    assert refused(path) == f"{path}, line 4: {said}"


def test_any_other_object_is_no_set(tmp_path):
    (tmp_path / "a.json").write_text('{"a": 1}')
    assert refused(tmp_path / "a.json") == (
        f"{tmp_path / 'a.json'}: has no list 'images', which a data set needs: add it, or name another file"
    )


def test_a_list_of_categories_alone_is_passed_over(write, tmp_path):
    """Such a notes.json lies beside what is YOLO's. One too long to be seen whole may have its pictures later."""
    notes = {"categories": [{"id": 0, "name": "ant"}], "info": {}}
    (tmp_path / "notes.json").write_text(json.dumps(notes))
    assert recognise_coco(tmp_path) is None
    (tmp_path / "meta.json").write_text('{"images": "photos", "annotations": {"by": "me"}, "folder": "images"}')
    assert recognise_coco(tmp_path) is None
    long = {"categories": content()["categories"], "info": " " * PEEKED} | content()
    write(long, "long.json", "images")
    assert [part.path.name for part in opened(tmp_path).parts] == ["long.json"]


def test_boxes_that_cannot_be(tmp_path):
    boxes = [[1, 1, 0, 5], [1, 1, -3, 5], [1, 2, 3], None, ["1", 2, 3, 4], [1, 2, 3, True]]
    objects = [{"id": i, "image_id": 5, "category_id": 3, "bbox": box} for i, box in enumerate(boxes)]
    path = tmp_path / "instances_train.json"
    path.write_text(json.dumps(content(annotations=objects)))
    assert opened(path).read().faults.tolist() == [NO_AREA] * 2 + [NOT_FOUR_NUMBERS] * 4
    with pytest.raises(DataError, match=r"two\.jpg: the box \(1, 1, 0, 5\) of object 1 \(ant\) has no area"):
        load_dataset([path], "train")


def test_numbers_of_hundreds_of_digits(write, tmp_path):
    what = content(
        annotations=[{"id": 1, "image_id": 5, "category_id": 3, "bbox": [1, 1, 10**400, 2], "area": 10**400}]
    )
    index = opened(write(what)).read()
    assert index.faults.tolist() == [NOT_FOUR_NUMBERS]
    assert np.isnan(index.areas).all()


@pytest.mark.parametrize(
    ("said", "flags"),
    [
        ({}, 0),
        ({"iscrowd": None, "difficult": 0, "ignore": False}, 0),
        ({"iscrowd": 1.0}, CROWD),
        ({"difficult": True, "ignore": 1}, DIFFICULT),
        ({"ignore": True, "iscrowd": 1}, CROWD | DIFFICULT),
    ],
)
def test_flags(write, said, flags):
    assert opened(write(content(annotations=[flagged(**said)]))).read().flags.tolist() == [flags]


@pytest.mark.parametrize("area", [-1, 0, math.nan, math.inf, -math.inf, 1e39, "99", None, True, [1]])
def test_where_the_area_can_be_none_that_of_the_box_counts(write, area):
    path = write(content(annotations=[flagged(area=area), flagged(id=8, area=99.5)]))
    assert np.isnan(opened(path).read().areas).tolist() == [True, False]
    assert [areas.tolist() for areas in load_dataset([path], "train").areas()] == [[], [200, 99.5]]


@pytest.mark.parametrize(
    ("box", "fault"),
    [([1e39, 1, 5, 5], NO_AREA), ([1, 1, 1e39, 5], OUTSIDE), ([-1e308, 1, 1.7e308, 5], OUTSIDE)],
)
def test_boxes_too_large_for_float32(write, box, fault):
    index = opened(write(content(annotations=[flagged(bbox=box)]))).read()
    assert index.faults.tolist() == [fault]
    assert np.isfinite(index.boxes).all()


def test_corners():
    assert corners_of([1, 2.5, 3, 4]) == (1, 2.5, 4, 6.5)


def test_cocos_example(shared):
    """A hundred pictures of COCO: 839 objects, nine of them crowds."""
    index = opened(shared / "data/metrics/coco_fakebbox100/instances_val2014_100.json").read()
    assert len(index) == 100
    assert len(index.boxes) == 839
    assert int((index.flags == CROWD).sum()) == 9
    assert not index.faults.any()
    assert len(index.class_names) == 80
