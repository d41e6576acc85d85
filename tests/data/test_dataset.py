"""Data sets: their classes, their splits, what is held out, and what is refused."""

import json

import pytest
import torch

from frcnn.data.convert import convert
from frcnn.data.dataset import counted_as_in, load_dataset, training_splits
from frcnn.errors import DataError

CAT, DOG = ("cat", (1, 1, 20, 30)), ("dog", (11, 6, 40, 48))


def ids(dataset) -> list[str]:
    return [example.annotation.stem for example in dataset.examples]


def refused(paths, split="train", **options) -> str:
    with pytest.raises(DataError) as caught:
        load_dataset(paths, split, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def small(make_voc):
    """Two classes; one tall picture, one without objects, one difficult object."""
    return make_voc(
        {"a": [CAT, ("dog", (30, 10, 64, 48), True)], "b": [], "c": [("dog", (1, 1, 48, 64))], "d": [CAT]},
        {"train": ["c", "a"], "val": ["b"], "test": ["d"]},
        size={"a": (48, 64), "b": (48, 64), "c": (64, 48), "d": (48, 64)},
    )


class TestLoading:
    def test_by_hand(self, small):
        """Rows 2 and 23: half-open corners; the difficult object is there and marked."""
        dataset = load_dataset([small], "train")
        assert dataset.class_names == ("cat", "dog")
        assert ids(dataset) == ["c", "a"]  # the list's order
        c, a = dataset.examples
        assert (a.size, c.size) == ((48, 64), (64, 48))
        assert a.picture == small / "JPEGImages" / "a.jpg"
        assert a.target.boxes.tolist() == [[0, 0, 20, 30], [29, 9, 64, 48]]
        assert a.target.class_ids.tolist() == [0, 1]
        assert a.target.ignored.tolist() == [False, True]
        assert a.target.learnt().boxes.tolist() == [[0, 0, 20, 30]]

    def test_types_of_numbers(self, small):
        """Row 3: boxes are float32, so an xmin of 0 cannot wrap round."""
        target = load_dataset([small], "train").examples[0].target
        assert target.boxes.dtype == torch.float32
        assert target.class_ids.dtype == torch.int64
        assert target.ignored.dtype == torch.bool

    def test_zero_based_files_do_not_wrap(self, make_voc):
        """Row 3: 0 - 1 would be 65535 in 16 bits without a sign."""
        root = make_voc({"a": [("cat", (0, 0, 9, 9))]}, {"train": ["a"]})
        assert load_dataset([root], "train").examples[0].target.boxes.tolist() == [[0, 0, 9, 9]]

    def test_no_objects(self, small):
        """Row 30: kept, with a target of the right shape."""
        target = load_dataset([small], "val").examples[0].target
        assert target.boxes.shape == (0, 4)
        assert target.class_ids.shape == target.ignored.shape == (0,)

    def test_classes_come_from_all_splits(self, small):
        assert load_dataset([small], "val").class_names == load_dataset([small], "test").class_names == ("cat", "dog")

    def test_classes_may_be_given(self, small):
        dataset = load_dataset([small], "train", class_names=("bird", "dog", "cat"))
        assert dataset.class_names == ("bird", "dog", "cat")
        assert dataset.examples[1].target.class_ids.tolist() == [2, 1]

    def test_a_class_that_the_model_does_not_know(self, small):
        message = refused([small], class_names=("cats", "cow"))
        assert message == (
            f"{small / 'Annotations' / 'c.xml'}: object 1 is a 'dog', which is none of the model's 2 classes "
            "(cats, cow): rename it, or take such objects out"
        )

    @pytest.mark.parametrize("near", ["Dogs", "DOG"])
    def test_the_nearest_class_is_named_where_it_is_near(self, small, near):
        message = refused([small], class_names=("cat", near))
        assert message.endswith(f"rename it, if {near!r} is meant, or take such objects out")

    def test_several_sets_are_one(self, make_voc):
        first = make_voc({"a": [CAT]}, {"train": ["a"]}, name="VOC2007")
        second = make_voc({"a": [DOG], "b": [CAT]}, {"train": ["b", "a"], "test": ["a"]}, name="VOC2012")
        both = load_dataset([first, second], "train")
        assert [example.picture for example in both.examples] == [
            first / "JPEGImages/a.jpg",
            second / "JPEGImages/b.jpg",
            second / "JPEGImages/a.jpg",
        ]
        assert both.class_names == ("cat", "dog")
        assert len(load_dataset([first, second], "test").examples) == 1

    def test_a_set_that_is_named_twice_counts_once(self, small):
        assert ids(load_dataset([small, small.parent, small / ".." / small.name], "train")) == ["c", "a"]

    def test_loading_changes_nothing(self, small):
        """By law: twice the same."""
        first, second = load_dataset([small], "trainval"), load_dataset([small], "trainval")
        assert ids(first) == ids(second) == ["c", "a", "b"]
        for one, other in zip(first.examples, second.examples, strict=True):
            assert torch.equal(one.target.boxes, other.target.boxes)


class TestRefusals:
    def test_no_such_split(self, make_voc):
        root = make_voc({"a": [CAT]}, {"train": ["a"], "test": ["a"]})
        assert refused([root], "val") == f"{root}: there is no split 'val'; there is train, test"

    def test_no_splits_at_all(self, make_voc):
        root = make_voc({"a": [CAT]}, {"others": ["a"]})
        assert refused([root]) == (
            f"{root}: there is no split 'train'; there is none: {root / 'ImageSets/Main'} holds none of train.txt, "
            "val.txt, trainval.txt, test.txt but others.txt: write trainval.txt, or take ImageSets away, and all "
            "pictures are trainval"
        )

    def test_an_empty_split(self, make_voc):
        root = make_voc({"a": [CAT]}, {"train": []})
        assert refused([root]) == f"{root}: the split is empty: it names no picture"

    def test_nothing_named(self):
        assert refused([]) == "no data set is named: give the folder of one"

    def test_a_split_that_names_what_is_not_there(self, make_voc):
        root = make_voc({"a": [CAT]}, {"train": ["a", "zzz"]})
        file = root / "Annotations/zzz.xml"
        said = "is missing, but a split names 'zzz': add it, or take 'zzz' out of the split"
        assert refused([root]) == f"{file}: {said}"

    def test_a_line_that_is_more_than_a_name(self, make_voc):
        root = make_voc({"a": [CAT]}, {"train": ["a  1"]})
        assert refused([root]).endswith(
            "a split names 'a  1': the list is one of a class, with a flag behind each name: "
            "leave 'a' alone in the line"
        )

    def test_a_missing_picture(self, small):
        (small / "JPEGImages/a.jpg").unlink()
        assert "a.xml: its picture" in refused([small])

    def test_a_picture_that_is_none(self, small):
        (small / "JPEGImages/a.jpg").write_text("no picture")
        assert refused([small]) == f"{small / 'JPEGImages/a.jpg'}: is no picture"

    def test_an_xml_that_does_not_parse(self, small):
        (small / "Annotations/a.xml").write_text("<annotation>\n<object>")
        assert refused([small]).startswith(f"{small / 'Annotations/a.xml'}, line 2: is no whole XML")

    @pytest.mark.parametrize(
        ("corners", "problem"),
        [
            ((9, 9, 9, 20), "has no area"),
            ((9, 9, 80, 20), "leaves its picture of 64x48 pixels"),
            (("x", 9, 80, 20), "is not made of four numbers"),
        ],
    )
    def test_a_bad_box(self, make_voc, corners, problem):
        """Row 2: refused with file, object and what to do; or left out and counted."""
        root = make_voc({"a": [CAT, ("dog", corners)], "b": [CAT]}, {"train": ["a", "b"]})
        message = refused([root])
        assert message.startswith(f"{root / 'Annotations/a.xml'}: the box (")
        assert f"of object 2 (dog) {problem}" in message
        assert message.endswith(
            "mend it, or leave it out (train: --set data.bad_boxes=skip, evaluate: --bad-boxes skip)"
        )
        skipped = load_dataset([root], "train", bad_boxes="skip")
        assert skipped.skipped_boxes == 1
        assert [len(example.target.boxes) for example in skipped.examples] == [1, 1]
        assert skipped.class_names == ("cat", "dog")  # the class is known, whatever becomes of its box


class TestTrainingSplits:
    def test_train_and_val_where_both_are_there(self, small):
        train, val = training_splits([small], 0.1, seed=0)
        assert val is not None
        assert (ids(train), ids(val)) == (["c", "a"], ["b"])
        assert train.class_names == val.class_names == ("cat", "dog")

    def test_a_seeded_share_of_trainval(self, make_voc):
        names = [f"{i:02}" for i in range(20)]
        root = make_voc({name: [CAT] for name in [*names, "t"]}, {"trainval": names, "test": ["t"]})
        train, val = training_splits([root], 0.25, seed=3)
        assert val is not None
        assert len(val.examples) == 5
        assert sorted(ids(train) + ids(val)) == names
        again, other = training_splits([root], 0.25, seed=3)[1], training_splits([root], 0.25, seed=4)[1]
        assert again is not None
        assert other is not None
        assert ids(again) == ids(val) != ids(other)

    def test_val_beside_a_trainval(self, make_voc):
        """It is held out, and what it names is not trained on."""
        root = make_voc({name: [CAT] for name in "abcd"}, {"trainval": ["a", "b", "c"], "val": ["b", "d"]})
        train, val = training_splits([root], 0.1, seed=0)
        assert val is not None
        assert (ids(train), ids(val)) == (["a", "c"], ["b", "d"])

    def test_val_beside_a_file_of_all(self, tmp_path):
        """COCO's files have each their own entry of a picture."""
        for file, names in {"all": "abc", "val": "b"}.items():
            images = [{"id": i, "file_name": f"{name}.png", "height": 8, "width": 8} for i, name in enumerate(names)]
            objects = [{"id": i, "image_id": i, "category_id": 1, "bbox": [0, 0, 4, 4]} for i in range(len(names))]
            lists = {"images": images, "annotations": objects, "categories": [{"id": 1, "name": "cat"}]}
            (tmp_path / f"{file}.json").write_text(json.dumps(lists))
            for name in names:
                (tmp_path / f"{name}.png").touch()
        train, val = training_splits([tmp_path], 0.1, seed=0)
        assert val is not None
        assert [[example.picture.stem for example in one.examples] for one in (train, val)] == [["a", "c"], ["b"]]

    @pytest.mark.parametrize("validation", [0.0, 0.1, 0.9])
    @pytest.mark.parametrize("splits", [("train", "test"), ("trainval", "test"), ("train", "val", "test")])
    def test_test_is_never_touched(self, make_voc, validation, splits):
        names = {split: [f"{split}{i}" for i in range(4)] for split in splits}
        root = make_voc({name: [CAT] for members in names.values() for name in members}, names)
        train, val = training_splits([root], validation, seed=0)
        used = ids(train) + (ids(val) if val else [])
        assert sorted(used) == sorted(name for split in splits if split != "test" for name in names[split])
        assert (val is None) == (validation == 0)

    def test_zero_trains_on_everything(self, small):
        train, val = training_splits([small], 0, seed=0)
        assert val is None
        assert sorted(ids(train)) == ["a", "b", "c"]

    @pytest.mark.parametrize("kind", ["coco", "yolo"])
    def test_zero_trains_on_everything_where_no_trainval_is_written(self, small, tmp_path, kind):
        """VOC's reader makes one of train and val; the others know the two alone."""
        convert([small], tmp_path / kind, kind)
        train, val = training_splits([tmp_path / kind], 0, seed=0)
        assert val is None
        assert sorted(example.picture.stem for example in train.examples) == ["a", "b", "c"]

    @pytest.mark.parametrize("validation", [0.001, 0.999])
    def test_each_gets_a_picture(self, make_voc, validation):
        root = make_voc({"a": [CAT], "b": [DOG]}, {"trainval": ["a", "b"]})
        train, val = training_splits([root], validation, seed=0)
        assert val is not None
        assert len(train.examples) == len(val.examples) == 1

    def test_a_single_picture_is_trained_on(self, make_voc):
        root = make_voc({"a": [CAT]}, {"trainval": ["a"]})
        train, val = training_splits([root], 0.5, seed=0)
        assert (ids(train), val) == (["a"], None)

    def test_nothing_but_bad_boxes_is_nothing_to_learn(self, make_voc):
        root = make_voc({"a": [("dog", (30, 5, 9, 40))], "b": []}, {"trainval": ["a", "b"]})
        with pytest.raises(DataError, match="nothing to learn"):
            training_splits([root], validation=0, seed=0, bad_boxes="skip")

    def test_an_empty_split_is_called_so(self, make_voc):
        root = make_voc({"a": [CAT]}, {"trainval": [], "test": ["a"]})
        with pytest.raises(DataError, match=r"there is trainval \(empty\), test"):
            training_splits([root], validation=0, seed=0)

    def test_only_a_test_split(self, make_voc):
        root = make_voc({"a": [CAT]}, {"test": ["a"]})
        with pytest.raises(DataError, match="there is nothing to train on"):
            training_splits([root], 0.1, seed=0)

    def test_nothing_to_learn(self, make_voc):
        root = make_voc({"a": [], "b": []}, {"trainval": ["a", "b"]})
        with pytest.raises(DataError, match="no object in any annotation"):
            training_splits([root], 0.1, seed=0)


class TestRealData:
    @pytest.mark.parametrize(
        ("name", "split", "pictures", "objects", "difficult", "classes"),
        [
            ("VOC2007-part", "trainval", 469, 1053, 225, 20),
            ("VOC2007-part", "test", 287, 601, 115, 20),
            ("BCCD", "test", 72, 945, 0, 3),
            ("VOC2012-animals-400px", "val", 1729, 3196, 347, 19),
        ],
    )
    def test_counts(self, shared, name, split, pictures, objects, difficult, classes):
        """Row 23: difficult objects are counted apart."""
        dataset = load_dataset([shared / "data" / name], split)
        ignored = sum(int(example.target.ignored.sum()) for example in dataset.examples)
        assert len(dataset.examples) == pictures
        assert sum(len(example.target.boxes) for example in dataset.examples) == objects + ignored
        assert ignored == difficult
        assert len(dataset.class_names) == classes

    def test_all_of_voc_holds_its_boxes(self, shared):
        """Row 2: no real box is refused, and each lies in its picture."""
        dataset = load_dataset([shared / "data/VOC2012-animals-400px", shared / "data/VOC2007-part"], "trainval")
        assert len(dataset.examples) == 3895
        for example in dataset.examples:
            height, width = example.size
            assert (example.target.boxes >= 0).all()
            assert (example.target.boxes <= torch.tensor([width, height, width, height])).all()

    @pytest.mark.parametrize(
        ("split", "file", "number"), [("train", "BloodImage_00343", 4), ("val", "BloodImage_00338", 13)]
    )
    def test_the_bad_boxes_of_bccd_are_named(self, shared, split, file, number):
        """Row 2: two boxes without area, which conversion would turn into boxes of one pixel."""
        message = refused([shared / "data/BCCD"], split)
        assert f"{file}.xml" in message
        assert f"of object {number} (RBC) has no area" in message

    def test_the_bad_boxes_of_bccd_can_be_skipped(self, shared):
        objects, skipped = 0, 0
        for split in ("trainval", "test"):
            dataset = load_dataset([shared / "data/BCCD"], split, bad_boxes="skip")
            assert dataset.class_names == ("Platelets", "RBC", "WBC")
            objects += sum(len(example.target.boxes) for example in dataset.examples)
            skipped += dataset.skipped_boxes
        assert (objects, skipped) == (4886, 2)


def test_corners_are_counted_as_files_of_the_format_do() -> None:
    assert counted_as_in("voc", (0, 10, 50, 40)) == (1, 11, 50, 40)
    assert counted_as_in("coco", (0, 10, 50, 40)) == counted_as_in("yolo", (0, 10, 50, 40)) == (0, 10, 50, 40)
