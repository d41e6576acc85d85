"""Which split a file is, and where its pictures lie."""

import pytest

from frcnn.data.coco_places import LOOKED_FOR, picture_folder, split_of


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("annotations/instances_train2017.json", "train"),
        ("annotations/instances_val2014.json", "val"),
        ("annotations/image_info_test-dev2017.json", "test"),
        ("valid/_annotations.coco.json", "val"),
        ("test/_annotations.coco.json", "test"),
        ("trainval.json", "trainval"),
        ("annotations.json", "trainval"),
        ("retrained.json", "trainval"),
        ("training.json", "train"),
        ("my-testing_set.json", "test"),
        ("testing/_annotations.coco.json", "test"),
        ("test2017/labels.json", "test"),
        ("latest/labels.json", "trainval"),
    ],
)
def test_the_split_of_a_file(tmp_path, name, split):
    assert split_of(tmp_path / "set" / name, tmp_path / "set") == split


@pytest.mark.parametrize(
    ("folder", "split"), [("my_test", "trainval"), ("test_set", "trainval"), ("val2", "trainval"), ("valid", "val")]
)
def test_the_folder_of_a_whole_set_is_a_split_only_by_its_whole_name(tmp_path, folder, split):
    assert split_of(tmp_path / folder / "labels.json", tmp_path / folder) == split
    assert split_of(tmp_path / folder / "train.json", tmp_path / folder) == "train"


@pytest.fixture
def put(tmp_path):
    def touch(*names: str) -> None:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()

    return touch


class TestThePictureFolder:
    def test_most_of_the_first_pictures_decide(self, put, tmp_path):
        put("images/train/b", "images/train/c", "train/a", "a", "annotations/a")
        assert (
            picture_folder(tmp_path / "annotations/instances_train.json", ["a", "b", "c"]) == tmp_path / "images/train"
        )

    def test_of_equals_the_likeliest(self, put, tmp_path):
        put("images/a", "train/b")
        assert picture_folder(tmp_path / "annotations/instances_train.json", ["a", "b"]) == tmp_path / "train"

    @pytest.mark.parametrize("name", ["train_annotations", "train", "my-train-set", "annotations_train"])
    @pytest.mark.parametrize("folder", ["train", "images/train"])
    def test_a_folder_of_the_split(self, put, tmp_path, name, folder):
        put(f"{folder}/a")
        assert picture_folder(tmp_path / f"{name}.json", ["a"]) == tmp_path / folder

    def test_pictures_beyond_the_first_are_not_looked_for(self, put, tmp_path):
        put("images/last")
        names = [*map(str, range(LOOKED_FOR)), "last"]
        assert picture_folder(tmp_path / "all.json", names) == tmp_path

    @pytest.mark.parametrize("names", [[], ["a"]])
    def test_where_there_is_none_the_likeliest_that_is_there(self, put, tmp_path, names):
        put("val/other")
        assert picture_folder(tmp_path / "annotations/instances_val.json", names) == tmp_path / "val"
        assert picture_folder(tmp_path / "annotations/instances_train.json", names) == tmp_path
