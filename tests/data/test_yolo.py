"""The reader of YOLO's text files: fractions, names, splits, and what is refused."""

import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from frcnn.data.box_faults import OUTSIDE
from frcnn.data.dataset import load_dataset
from frcnn.data.index import NO_PICTURE, READABLE, UNREADABLE
from frcnn.data.yolo import YoloSet, as_fractions, read_labels, recognise_yolo
from frcnn.data.yolo_labels import label_of
from frcnn.errors import DataError


@pytest.fixture
def put(tmp_path):
    """Writes a picture of 64x48 and the text beside it, or in `labels`."""

    def write(name: str, labels: str | None = "0 0.5 0.5 0.25 0.5\n", size=(64, 48)) -> None:
        picture = tmp_path / name
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size).save(picture)
        if labels is not None:
            label_of(picture).parent.mkdir(parents=True, exist_ok=True)
            label_of(picture).write_text(labels)

    return write


def opened(path) -> YoloSet:
    found = recognise_yolo(path)
    assert found is not None
    return found


def refused(path) -> str:
    with pytest.raises(DataError) as caught:
        opened(path).read()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def described(tmp_path, text: str):
    path = tmp_path / "data.yaml"
    path.write_text(text)
    return path


def test_by_hand(put, tmp_path):
    put("images/train/a.jpg", "1 0.5 0.5 0.25 0.5\n\n0 0.125 0.25 0.25 0.5\n")
    put("images/train/b.jpg", None)  # no text file: nothing in it
    put("images/val/c.jpg", "")
    path = described(tmp_path, "train: images/train\nval: images/val\nnames: [dog, cat]\n")
    index = opened(path).read()
    assert index.class_names == ("dog", "cat")  # the file's order
    assert {name: numbers.tolist() for name, numbers in index.splits.items()} == {"train": [0, 1], "val": [2]}
    assert index.boxes.tolist() == [[24, 12, 40, 36], [0, 0, 16, 24]]
    assert index.class_ids.tolist() == [1, 0]
    assert index.first_object.tolist() == [0, 2, 2, 2]
    assert index.annotation_names[0] == "labels/train/a.txt"
    dataset = load_dataset([tmp_path], "train")
    assert dataset.class_names == ("dog", "cat")
    assert dataset.examples[0].target.ignored.tolist() == [False, False]


def test_outlines_become_boxes_and_a_confidence_is_passed_over(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("0 0.1 0.2 0.5 0.1 0.4 0.9\n2 0.5 0.5 0.2 0.4 0.87\n")
    outline, box = read_labels(path)
    assert outline.box == (0.1, 0.1, 0.5, 0.9)
    assert (box.line, box.class_number) == (2, 2)
    assert box.box == pytest.approx((0.4, 0.3, 0.6, 0.7))


@pytest.mark.parametrize(("of_picture", "of_label"), [("NFC", "NFD"), ("NFD", "NFC")])
@pytest.mark.parametrize("text", ["", "train: images\n", "train: 목록.txt\n"])
def test_names_in_either_form_of_unicode(tmp_path, of_picture, of_label, text):
    """macOS takes Korean syllables apart, other systems do not: on the screen they are the same."""
    picture, label = (unicodedata.normalize(form, "사진 é") for form in (of_picture, of_label))
    for folder in (tmp_path / "images" / picture, tmp_path / "labels" / label):
        folder.mkdir(parents=True)
    Image.new("RGB", (64, 48)).save(tmp_path / f"images/{picture}/{picture}.jpg")
    (tmp_path / f"labels/{label}/{label}.txt").write_text("0 0.5 0.5 0.25 0.5\n")
    (tmp_path / unicodedata.normalize(of_label, "목록.txt")).write_text(f"images/{label}/{label}.jpg\n")
    if text:
        described(tmp_path, f"{unicodedata.normalize(of_picture, text)}names: [dog]\n")
    index = opened(tmp_path).read()
    assert (index.states.tolist(), index.boxes.tolist()) == ([READABLE], [[24, 12, 40, 36]])
    assert (tmp_path / index.picture_names[0]).is_file()


@pytest.mark.parametrize("text", ["", "train: images/train\nnames: [dog]\n"])
def test_what_is_hidden_is_no_picture(put, tmp_path, text):
    """Neither what a Mac leaves beside each file, nor the copies of a notebook: they would be empty scenes."""
    put("images/train/a.jpg")
    put("images/train/.ipynb_checkpoints/a-checkpoint.jpg", None)
    for name in ("images/train/._a.jpg", "labels/train/._a.txt"):
        (tmp_path / name).write_bytes(b"\x00\x05\x16\x07")
    if text:
        described(tmp_path, text)
    index = opened(tmp_path).read()
    assert [index.picture_names[number] for number in range(len(index))] == ["images/train/a.jpg"]


def test_a_set_below_a_hidden_folder(put, tmp_path):
    put(".cache/set/images/a.jpg")
    assert len(opened(tmp_path / ".cache/set").read()) == 1


def test_points_of_a_pose_are_no_outline(put, tmp_path):
    """However many: an even count of numbers would be an outline, an odd one nothing at all."""
    for points, shape in ((4, 2), (2, 3), (3, 3)):
        pose = " ".join(["0.9", "0.1", "2"][number % shape] for number in range(points * shape))
        put("images/train/a.jpg", f"0 0.5 0.5 0.25 0.5 {pose}\n0 0.5 0.5 0.25 0.5\n")
        path = described(tmp_path, f"train: images/train\nnames: [dog]\nkpt_shape: [{points}, {shape}]\n")
        assert opened(path).read().boxes.tolist() == [[24, 12, 40, 36]] * 2


def test_a_pose_of_another_number_of_points_is_refused(put, tmp_path):
    put("images/train/a.jpg", "0 0.5 0.5 0.25 0.5 0.1 0.1\n")
    path = described(tmp_path, "train: images/train\nnames: [dog]\nkpt_shape: [2, 2]\n")
    assert "a.txt, line 1: has 7 numbers" in refused(path)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("names: [dog, cat]", ("dog", "cat")),
        ("names: {0: dog, 1: cat}", ("dog", "cat")),
        ("names:\n  1: cat\n  0: dog", ("dog", "cat")),
        ("names: [1, 2.5]", ("1", "2.5")),
        ("names: [yes, no, on, Off, true]", ("yes", "no", "on", "Off", "true")),
        ("names:\n  0: null\n  1: 1.10\n  2: 2020-01-01\n  3: 0x1F", ("null", "1.10", "2020-01-01", "0x1F")),
        ("names: {" + ", ".join(f"{i}: c{i}" for i in range(12)) + "}", tuple(f"c{i}" for i in range(12))),
    ],
)
def test_names(put, tmp_path, text, names):
    put("images/train/a.jpg", "")
    assert opened(described(tmp_path, f"train: images/train\n{text}\n")).names == names


@pytest.mark.parametrize(
    "value",
    [
        "images/train",
        "[images/train]",
        "./images/train/",
        "list.txt",
        "../images/train",
        ".\\images\\train",
        "windows.txt",
    ],
)
def test_the_ways_to_name_pictures(put, tmp_path, value):
    """A folder, several, a list of pictures; and the ../ that exports have, which lie beside the YAML all the same."""
    put("images/train/a.jpg")
    (tmp_path / "list.txt").write_text("./images/train/a.jpg\n\n")
    (tmp_path / "windows.txt").write_text("images\\train\\a.jpg\n")
    assert len(opened(described(tmp_path, f"train: {value}\nnames: [dog]\n")).read()) == 1


def test_a_path_that_was_right_elsewhere(put, tmp_path):
    put("images/train/a.jpg")
    path = described(tmp_path, "path: /home/someone/set\ntrain: images/train\nnames: [dog]\n")
    assert len(opened(path).read()) == 1


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("images/train/a.jpg", "images/val/b.jpg"), {"train": 1, "val": 1}),
        (("train/images/a.jpg", "valid/images/b.jpg", "test/images/c.jpg"), {"train": 1, "val": 1, "test": 1}),
        (("images/a.jpg", "images/b.jpg"), {"trainval": 2}),
        (("a.jpg", "below/b.png"), {"trainval": 2}),
    ],
)
def test_a_folder_without_a_description(put, tmp_path, names, splits):
    """Classes are called by their numbers."""
    for name in names:
        put(name, "2 0.5 0.5 0.5 0.5\n")
    index = opened(tmp_path).read()
    assert {name: len(numbers) for name, numbers in index.splits.items()} == splits
    assert index.class_names == ("2",)


def test_what_has_no_value_is_as_if_it_were_not_there(put, tmp_path):
    put("images/train/a.jpg", "")
    text = "path: ~\ntrain: images/train\nval:\ntest: null\nnames: [dog]\nnc: 1\n"
    assert list(opened(described(tmp_path, text)).splits) == ["train"]


class TestADescriptionOfAnotherName:
    def test_the_only_one_is_taken(self, put, tmp_path):
        put("train/images/a.jpg")
        (tmp_path / "my set.yml").write_text("train: train/images\nnames: [dog]\n")
        (tmp_path / "args.yaml").write_text("names: x\nepochs: 3\n")
        (tmp_path / "torn.yaml").write_text("train: [\nnames")
        (tmp_path / "list.yaml").write_text("- train\n- names\n")
        (tmp_path / "._my set.yml").write_text("train: train/images\nnames: [cat]\n")
        found = opened(tmp_path)
        assert (found.names, list(found.splits), found.described_by) == (("dog",), ["train"], tmp_path / "my set.yml")

    def test_of_several_one_must_be_named(self, put, tmp_path):
        put("images/a.jpg")
        for name in ("b.yaml", "a.yml"):
            (tmp_path / name).write_text("train: images\nnames: [dog]\n")
        with pytest.raises(DataError) as caught:
            recognise_yolo(tmp_path)
        assert str(caught.value) == f"{tmp_path}: several files describe a data set (a.yml, b.yaml): name one of them"
        assert opened(tmp_path / "b.yaml").names == ("dog",)
        (tmp_path / "data.yaml").write_text("train: images\nnames: [cat]\n")
        assert opened(tmp_path).names == ("cat",)


@pytest.mark.parametrize("text", ["", "train: .\nnames: ['0', '1', cow]\n"])
@pytest.mark.parametrize(
    ("picture", "label"),
    [
        ("images/mine/a.jpg", "images/mine/a.txt"),
        ("images/mine/a.jpg", "labels/mine/a.txt"),
        ("images/mine/images/a.jpg", "images/mine/labels/a.txt"),
        ("images/images/mine/a.jpg", "images/labels/mine/a.txt"),
    ],
)
def test_a_set_below_a_folder_called_images(tmp_path, monkeypatch, text, picture, label):
    """However its path is typed."""
    root = (tmp_path / picture).parent if "mine/images" not in picture else (tmp_path / picture).parents[1]
    for path in (tmp_path / picture, tmp_path / label):
        path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 48)).save(tmp_path / picture)
    (tmp_path / label).write_text("2 0.5 0.5 0.5 0.5\n")
    if text:
        (root / "data.yaml").write_text(text)
    for folder, typed in ((root, "."), (root.parent, "mine"), (tmp_path, root), (root, "../mine")):
        monkeypatch.chdir(folder)
        index = opened(Path(typed)).read()
        assert (len(index), index.class_ids.tolist()) == (1, [2 if text else 0])
        assert (Path(typed) / index.annotation_names[0]).samefile(tmp_path / label)


@pytest.mark.parametrize("name", ["classes.txt", "labels/classes.txt", "obj.names"])
def test_names_in_a_list(put, tmp_path, name):
    put("images/a.jpg", "1 0.5 0.5 0.5 0.5\n")
    (tmp_path / name).write_text("dog\ncat\n\n")
    index = opened(tmp_path).read()
    assert index.class_names == ("dog", "cat")
    assert index.class_ids.tolist() == [1]


def test_pictures_alone_are_no_set(put, tmp_path):
    put("images/a.jpg", None)
    assert recognise_yolo(tmp_path) is None
    assert recognise_yolo(tmp_path / "images/a.jpg") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 0.5 0.5 0.5", "line 1: has 4 numbers"),
        ("0 0.5 0.5 0.5 0.5\n0 a 0.5 0.5 0.5", "line 2: holds something that is no number"),
        ("7 0.5 0.5 0.5 0.5", "line 1: has the class 7, but there are 2 classes"),
        ("-1 0.5 0.5 0.5 0.5", "line 1: has the class -1"),
        ("inf 0.5 0.5 0.5 0.5", "line 1: begins with inf, where the number of a class is due"),
        ("0.5 0.5 0.5 0.5 0.5", "line 1: begins with 0.5, where the number of a class is due"),
    ],
)
def test_what_is_wrong_names_the_line(put, tmp_path, text, message):
    put("images/train/a.jpg", text)
    path = described(tmp_path, "train: images/train\nnames: [dog, cat]\n")
    assert refused(path).startswith(f"{tmp_path / 'labels/train/a.txt'}, {message}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("names: [dog]", "names no pictures"),
        ("train: images/train", "has no names"),
        ("train: images/train\nnames: {1: dog}", "do not count from 0"),
        ("train: images/train\nnames: {a: dog}", "do not count from 0"),
        ("train: images/train\nnames: {0: dog, 1: cat, 2: dog}", "the name of class 2 is there twice ('dog')"),
        ("train: images/train\nnames: classes.txt", "has no names"),
        ("train: null\nnames: [dog]", "names no pictures"),
        ("train: images/absent\nnames: [dog]", "names images/absent, but there is no"),
        ("train: images/train\nnames: [dog]\nkpt_shape: 4", "kpt_shape must be two whole numbers"),
        ("train: images/train\nnames: [dog]\nkpt_shape: [4, x]", "kpt_shape must be two whole numbers"),
        (f"train: images/train\nnames: [dog]\nkpt_shape: [{'9' * 5000}, 3]", "kpt_shape must be two whole numbers"),
        ("- 1", "is no data set"),
        ("train: [\nnames", "is no YAML"),
    ],
)
def test_a_description_that_is_wrong(put, tmp_path, text, message):
    put("images/train/a.jpg")
    with pytest.raises(DataError, match=r"data\.yaml") as caught:
        recognise_yolo(described(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("train: images\nnames:\n  0: cat\n  0: dog\n  1: horse\n", 4, "0"),
        ("train: images\nnames: {0: cat, 1: dog, '1': horse}\n", 2, "1"),
        ("train: images\nnames: [cat]\n\ntrain: images/val\n", 4, "train"),
        ("train: images\nnames: [cat]\nother: [{a: 1, a: 2}]\n", 3, "a"),
    ],
)
@pytest.mark.parametrize("name", ["data.yaml", "mine.yml"])
def test_a_key_that_is_given_twice(put, tmp_path, text, line, key, name):
    """A class would be lost, or a split; a file of another name is none the less the description of the set."""
    put("images/a.jpg")
    put("images/val/b.jpg")
    path = tmp_path / name
    path.write_text(text)
    assert refused(tmp_path) == f"{path}, line {line}: the key '{key}' is given twice: take one out"


BOMB = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: images\nnames: *a11", "the name of class 0 is no text ([[...], [...], [...], ...])"),
        ("train: *a11\nnames: [dog]", "has [[...], [...], [...], ...] where the name of a folder or a list is due"),
        ("path: *a11\ntrain: images\nnames: [dog]", "has [[...], [...], [...], ...] where the name of a folder"),
        ("train: {a: *a11}\nnames: [dog]", "has {'a': [...]} where the name of a folder or a list is due"),
        ("train: images\nnames: [dog]\nkpt_shape: [*a11, 2]", "kpt_shape must be two whole numbers"),
    ],
)
def test_aliases_of_aliases_fill_no_memory(put, tmp_path, text, message):
    """Ten thousand million words, as a text; lists that share their parts take no room."""
    put("images/a.jpg")
    with pytest.raises(DataError) as caught:
        recognise_yolo(described(tmp_path, f"{BOMB}{text}\n"))
    assert message in str(caught.value)
    assert len(str(caught.value)) < len(str(tmp_path)) + 150


def test_a_description_that_is_nested_too_deeply(put, tmp_path):
    put("images/a.jpg")
    with pytest.raises(DataError, match="is nested too deeply"):
        recognise_yolo(described(tmp_path, "names: " + "[" * 10_000))


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("data.yaml", "train: list.txt\nnames: [bête]\n", "save it in UTF-8"),
        ("list.txt", "images/bête.jpg\n", "it must name a picture a line; save it in UTF-8"),
        ("labels/a.txt", "0 0.5 0.5 0.5 0.5 é\n", "it must hold an object a line; write it anew"),
    ],
)
def test_another_encoding(put, tmp_path, name, text, message, encoding):
    put("images/a.jpg")
    (tmp_path / "list.txt").write_text("images/a.jpg\n")
    described(tmp_path, "train: list.txt\nnames: [dog]\n")
    (tmp_path / name).write_text(text, encoding=encoding)
    assert refused(tmp_path) == f"{tmp_path / name}: is no text in UTF-8: {message}"


def test_pictures_that_cannot_be_read(put, tmp_path):
    put("images/train/a.jpg")
    (tmp_path / "images/train/a.jpg").write_text("no picture")
    (tmp_path / "list.txt").write_text("images/train/absent.jpg\nimages/train/a.jpg\n")
    path = described(tmp_path, "train: list.txt\nnames: [dog]\n")
    assert opened(path).read().states.tolist() == [NO_PICTURE, UNREADABLE]
    with pytest.raises(DataError, match=r"absent\.jpg is missing"):
        load_dataset([path], "train")


def test_numbers_that_are_no_fractions_leave_the_picture(put, tmp_path):
    put("images/train/a.jpg", "0 32 24 16 20\n")
    path = described(tmp_path, "train: images/train\nnames: [dog]\n")
    assert opened(path).read().faults.tolist() == [OUTSIDE]


def test_fractions_and_back(tmp_path):
    """By law, with the digits that are written."""
    corners, size = (3.25, 10.5, 60.75, 47.0), (48, 64)
    (tmp_path / "a.txt").write_text("0 " + " ".join(f"{value:.10g}" for value in as_fractions(corners, size)))
    (item,) = read_labels(tmp_path / "a.txt")
    back = [fraction * side for fraction, side in zip(item.box, (64, 48, 64, 48), strict=True)]
    assert back == pytest.approx(corners, abs=1e-6)
