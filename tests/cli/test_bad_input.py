"""Whatever is wrong with what we are given: one line that names it, status 1 or 2, and no folder left behind."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from frcnn.config import load_preset, to_toml
from frcnn.weights.build import build
from frcnn.weights.model_file import save_model

WHOLE = {
    "a": [("cat", (1, 1, 20, 30))],
    "b": [("dog", (5, 5, 40, 40)), ("cat", (10, 10, 30, 30), True)],
    "c": [],
    "d": [("dog", (2, 3, 60, 44))],
}
SPLITS = {"train": ["a", "b"], "val": ["c"], "trainval": ["a", "b", "c"], "test": ["d"]}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "best.safetensors"
    save_model(build("tiny", ["cat", "dog"]), path)
    return path


@pytest.fixture
def data(make_voc) -> Path:
    return make_voc(WHOLE, SPLITS, name="data")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "results" / "run"


@pytest.fixture
def refuse(run, out) -> Callable[..., None]:
    """Runs a command that must fail, saying `says` in one line, and leave nothing."""

    def refuse(*arguments: object, says: str, status: int) -> None:
        outcome = run(*arguments)
        assert outcome.status == status, outcome
        assert outcome.error.startswith("frcnn: "), outcome
        assert outcome.error.count("\n") == 1, outcome.error
        assert says in outcome.error
        assert "Traceback" not in outcome.error
        assert "unexpected" not in outcome.error
        assert not out.parent.exists()

    return refuse


def train(data: Path, out: Path, *more: object) -> tuple[object, ...]:
    settings = ("--set", "data.workers=0", "train.steps=1", "train.batch_size=2")
    return ("train", "tiny", "--data", data, "--backbone", "none", "--out", out, "--device", "cpu", *settings, *more)


def evaluate(model: object, data: Path, out: Path, *more: object) -> tuple[object, ...]:
    return ("evaluate", model, "--data", data, "--out", out, "--device", "cpu", *more)


def predict(model: object, source: object, out: Path, *more: object) -> tuple[object, ...]:
    return ("predict", model, source, "--out", out, "--device", "cpu", *more)


def break_xml(data: Path) -> Path:
    path = data / "Annotations" / "b.xml"
    path.write_text(path.read_text()[:40])
    return path


def box(corners: str) -> Callable[[Path], Path]:
    """Another box for the object of picture b and, in the second set, of d."""

    def change(data: Path) -> Path:
        path = data / "Annotations" / "b.xml"
        tags = zip(("xmin", "ymin", "xmax", "ymax"), corners.split(), strict=True)
        inner = "".join(f"<{tag}>{value}</{tag}>" for tag, value in tags)
        path.write_text(f"<annotation><object><name>dog</name><bndbox>{inner}</bndbox></object></annotation>")
        return path

    return change


def truncate_picture(data: Path) -> Path:
    path = data / "JPEGImages" / "b.jpg"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])  # the header is whole: only reading it all shows
    return path


def remove_picture(data: Path) -> Path:
    path = data / "JPEGImages" / "b.jpg"
    path.unlink()
    return path


def remove_annotation(data: Path) -> Path:
    path = data / "Annotations" / "b.xml"
    path.unlink()
    return path


def empty_splits(data: Path) -> Path:
    for path in (data / "ImageSets" / "Main").iterdir():
        path.write_text("")
    return data


WRONG_DATA = [
    pytest.param(break_xml, id="an XML that does not parse"),
    pytest.param(box("1 1 100 30"), id="a box outside its picture"),
    pytest.param(box("-9 1 10 30"), id="a box outside its picture, to the left"),
    pytest.param(box("10 10 10 30"), id="a box without area"),
    pytest.param(box("30 10 10 30"), id="a box inside out"),
    pytest.param(box("1 1 ten 30"), id="a box that is no number"),
    pytest.param(box("1 1 nan 30"), id="a box that is not finite"),
    pytest.param(truncate_picture, id="a truncated picture"),
    pytest.param(remove_picture, id="an absent picture"),
    pytest.param(remove_annotation, id="an absent annotation"),
    pytest.param(empty_splits, id="a set whose splits are empty"),
]


@pytest.mark.parametrize("spoil", WRONG_DATA)
def test_training_refuses_wrong_data(refuse, data, out, spoil):
    refuse(*train(data, out), says=str(spoil(data)), status=1)


@pytest.mark.parametrize("spoil", WRONG_DATA)
def test_evaluation_refuses_wrong_data(refuse, model, data, out, spoil):
    (data / "ImageSets" / "Main" / "test.txt").write_text("d\nb\n")
    refuse(*evaluate(model, data, out), says=str(spoil(data)), status=1)


def test_a_missing_or_empty_data_set(refuse, model, tmp_path, out):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for name in ("absent", "empty", "file"):
        refuse(*train(tmp_path / name, out), says=str(tmp_path / name), status=1)
        refuse(*evaluate(model, tmp_path / name, out), says=str(tmp_path / name), status=1)


def test_a_split_that_is_not_there(refuse, model, make_voc, out):
    data = make_voc(WHOLE, {"trainval": ["a"]}, name="data")
    refuse(*evaluate(model, data, out), says="split 'test'", status=1)


def test_a_set_without_objects(refuse, make_voc, out):
    refuse(*train(make_voc({"a": [], "b": []}, name="data"), out), says="no object", status=1)


def test_a_class_that_is_not_in_the_model(refuse, model, make_voc, out):
    data = make_voc({"a": [("cow", (1, 1, 20, 30))]}, {"test": ["a"]}, name="data")
    refuse(*evaluate(model, data, out), says="'cow'", status=1)


class Harmful:
    """What a pickle can do to whoever opens it."""

    def __reduce__(self):
        return os.mkdir, ("harmed",)


def text(path: Path) -> None:
    path.write_text("these are no weights")


def nothing(path: Path) -> None:
    path.touch()


def plain_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Harmful()))


def torch_pickle(path: Path) -> None:
    torch.save({"model": Harmful()}, path)


def others_weights(path: Path) -> None:
    save_file({"layer.weight": torch.ones(3)}, path)


def truncated_model(path: Path) -> None:
    save_model(build("tiny", ["cat", "dog"]), path)
    path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.parametrize("make", [text, nothing, plain_pickle, torch_pickle, others_weights, truncated_model])
@pytest.mark.parametrize("name", ["model.safetensors", "model.pt"])
def test_a_model_file_that_is_none(refuse, data, tmp_path, monkeypatch, out, make, name):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / name)
    refuse(*predict(tmp_path / name, data / "JPEGImages", out), says=str(tmp_path / name), status=1)
    refuse(*evaluate(tmp_path / name, data, out), says=str(tmp_path / name), status=1)
    refuse(*train(data, out, "--backbone", tmp_path / name), says=str(tmp_path / name), status=1)
    assert not Path("harmed").exists()


@pytest.mark.parametrize(
    ("name", "says", "status"),
    [
        ("absent.safetensors", "no such model file", 1),
        ("resnet50_fnp", "no such preset", 1),
        ("vgg16", "no published weights", 2),
        (".", "is a folder", 1),
    ],
)
def test_a_model_that_is_not_there(refuse, data, out, name, says, status):
    refuse(*predict(name, data / "JPEGImages", out), says=says, status=status)
    refuse(*evaluate(name, data, out), says=says, status=status)


@pytest.mark.parametrize("source", ["absent.jpg", "*.gif", "."])
def test_sources_without_pictures(refuse, model, tmp_path, monkeypatch, out, source):
    monkeypatch.chdir(tmp_path)
    refuse(*predict(model, source, out), says=source, status=2)


def test_a_picture_that_cannot_be_read(refuse, model, data, out):
    refuse(*predict(model, truncate_picture(data), out, "--json"), says="b.jpg", status=1)


def test_the_other_pictures_are_done(run, model, data, out):
    spoilt = truncate_picture(data)
    outcome = run(*predict(model, data / "JPEGImages", out, "--json"))
    assert outcome.status == 1
    assert outcome.error.count("\n") == 1
    assert str(spoilt) in outcome.error
    assert sorted(path.name for path in out.iterdir()) == ["a.jpg", "c.jpg", "d.jpg", "detections.json"]
    assert outcome.out == (out / "detections.json").read_text()


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("train.lrr=1", "train.lr"),
        ("train.lr=fast", "train.lr"),
        ("train.lr=-1", "train.lr"),
        ("trian.lr=1", "train.lr"),
        ("train.lr", "section.key=value"),
        ("model.backbone.body=vgg17", "model.backbone.body"),
        ("data.bad_boxes=ignore", "data.bad_boxes"),
    ],
)
def test_a_setting_that_does_not_exist(refuse, out, setting, says):
    absent = Path("absent")  # settings are judged before data is touched
    refuse(*train(absent, out, "--set", setting), says=says, status=2)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text[: text.rindex("=") + 1], "TOML"),
        (lambda text: text.replace("[train]", "[trian]"), "trian"),
        (lambda text: text.replace("momentum =", "momentun ="), "train.momentum"),
        (lambda text: text.replace("epochs = ", "epochs = -"), "train.epochs"),
        (lambda text: "preset = 'tiny'", "model"),
        (lambda text: text.replace('preset = "tiny"', 'preset = "zf"'), "zf"),
    ],
)
def test_a_configuration_file_that_is_wrong(refuse, tmp_path, out, change, says):
    path = tmp_path / "run.toml"
    path.write_text(change(to_toml(load_preset("tiny"))))
    refuse(*train(Path("absent"), out, "--config", path), says=says, status=2)


def test_a_configuration_file_that_is_not_there(refuse, tmp_path, out):
    path = tmp_path / "run.toml"
    refuse(*train(Path("absent"), out, "--config", path), says=str(path), status=2)


def test_a_preset_that_does_not_exist(refuse, data, out):
    refuse("train", "resnet50_fnp", "--data", data, "--out", out, says="resnet50_fpn", status=2)


def test_a_backbone_that_is_not_there(refuse, data, out):
    refuse(*train(data, out, "--backbone", "absent.safetensors"), says="absent.safetensors", status=1)


@pytest.mark.parametrize("command", [train, evaluate, predict])
def test_a_device_that_is_not_there(refuse, model, data, out, command):
    arguments = (data, out) if command is train else (model, data / "JPEGImages" / "a.jpg", out)
    refuse(*command(*arguments, "--device", "gpu"), says="'gpu'", status=2)


def test_an_output_that_is_a_file(run, model, data, tmp_path):
    out = tmp_path / "file"
    out.write_text("mine")
    for command in (train(data, out), evaluate(model, data, out), predict(model, data / "JPEGImages", out)):
        outcome = run(*command)
        assert outcome.status == 2
        assert str(out) in outcome.error
        assert outcome.error.count("\n") == 1
    assert out.read_text() == "mine"


def test_an_output_that_cannot_be_made(run, model, data, tmp_path):
    (tmp_path / "file").write_text("mine")
    out = tmp_path / "file" / "run"
    for command in (train(data, out), evaluate(model, data, out), predict(model, data / "JPEGImages", out)):
        outcome = run(*command)
        assert outcome.status in (1, 2)
        assert str(tmp_path / "file") in outcome.error
        assert outcome.error.count("\n") == 1
        assert "unexpected" not in outcome.error


def test_training_into_a_run_is_wrong_usage(run, data, out):
    assert run(*train(data, out)).status == 0
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    outcome = run(*train(data, out))
    assert outcome.status == 2
    assert "--resume" in outcome.error
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_a_sample_where_something_is(run, tmp_path):
    (tmp_path / "a").write_text("mine")
    outcome = run("data", "sample", tmp_path)
    assert outcome.status == 2
    assert str(tmp_path) in outcome.error
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_traceback_with_debug_alone(run, tmp_path):
    command = ("evaluate", tmp_path / "absent.safetensors", "--data", tmp_path)
    assert "Traceback" not in run(*command).error
    assert "Traceback" in run(*command, "--debug").error
