import json
import pickle
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from frcnn.errors import FrcnnError, ModelFileError
from frcnn.model.detector import FasterRCNN
from frcnn.weights.build import build
from frcnn.weights.model_file import load_model, save_model

CLASSES = ("고양이", "dog, small", "sheep")


def small() -> FasterRCNN:
    torch.manual_seed(0)
    return build("tiny", CLASSES, input={"short_side": 64, "long_side": 96, "mean": (0.1, 0.2, 0.3)})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_model(small(), tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def test_everything_comes_back(path: Path) -> None:
    model, loaded = small(), load_model(str(path))
    assert not loaded.training
    assert loaded.config == model.config
    assert loaded.class_names == CLASSES
    assert_same_tensors(model, loaded)
    image = torch.rand(3, 50, 70)
    with torch.no_grad():
        (ours,), (theirs,) = model.eval()([image]), loaded([image])
    assert torch.equal(ours.boxes, theirs.boxes)
    assert torch.equal(ours.scores, theirs.scores)


@pytest.mark.parametrize(
    "preset", ["mobilenet_v2_c4", "mobilenet_v2_fpn", "mobilenet_v3_large_fpn", "resnet18_fpn", "resnet50_fpn_v2"]
)
def test_every_kind_of_layer_comes_back(preset: str, tmp_path: Path) -> None:
    model = build(preset, CLASSES)
    save_model(model, tmp_path / "m.safetensors")
    assert_same_tensors(model, load_model(tmp_path / "m.safetensors"))


def test_any_layout_and_shared_tensors(tmp_path: Path) -> None:
    model = small().to(memory_format=torch.channels_last)
    model.rpn.convolutions[0].bias = model.backbone.fpn.outputs[0][1].bias  # two names, one tensor
    model.head.hidden[1].weight.data = model.head.hidden[1].weight.data.t().contiguous().t()
    save_model(model, tmp_path / "m.safetensors")
    assert_same_tensors(model, load_model(tmp_path / "m.safetensors"))


def test_the_file_says_what_it_is(path: Path) -> None:
    header = path.read_bytes()
    length = int.from_bytes(header[:8], "little")
    metadata = json.loads(header[8 : 8 + length])["__metadata__"]
    assert metadata["format"] == "frcnn"
    assert json.loads(metadata["class_names"]) == list(CLASSES)
    assert json.loads(metadata["config"])["input"]["mean"] == [0.1, 0.2, 0.3]


def test_the_same_model_gives_the_same_bytes_and_nothing_beside(path: Path) -> None:
    before = path.read_bytes()
    for _ in range(5):
        save_model(small(), path)
        assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_save_that_fails_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = path.read_bytes()
    monkeypatch.setattr("frcnn.weights.model_file.save_file", fails)
    with pytest.raises(FrcnnError, match="No space left") as caught:
        save_model(small(), path)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FrcnnError, match="cannot be written"):
        save_model(small(), tmp_path / "nowhere" / "m.safetensors")


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps({"a": 1}))


def zipped(path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, path)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def cut_in_the_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:300])


def text(path: Path) -> None:
    path.write_text("weights")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def with_metadata(path: Path, **changes: str | None) -> None:
    model = small()
    good = {
        "format": "frcnn",
        "version": "1",
        "config": json.dumps(model.config.model_dump(mode="json")),
        "class_names": json.dumps(list(CLASSES)),
    }
    save_file(load_file(path), path, {k: v for k, v in (good | changes).items() if v is not None})


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (pickled, "a pickle or a zip"),
        (zipped, "a pickle or a zip"),
        (cut, "no whole .safetensors"),
        (cut_in_the_header, "no whole .safetensors"),
        (text, "no whole .safetensors"),
        (empty, "no whole .safetensors"),
        (Path.unlink, "no such file"),
        (lambda path: (path.unlink(), path.mkdir()), "a folder"),
        (lambda path: save_file({"a": torch.zeros(1)}, path), "no model file of frcnn"),
        (lambda path: with_metadata(path, format="pt"), "no model file of frcnn"),
        (lambda path: with_metadata(path, version="2"), "version 2"),
        (lambda path: with_metadata(path, config=None), "config is missing"),
        (lambda path: with_metadata(path, config="{"), "damaged metadata"),
        (lambda path: with_metadata(path, config="[]"), "config is not a dict"),
        (lambda path: with_metadata(path, config='{"input": {}}'), "its configuration: input.short_side: is missing"),
        (lambda path: with_metadata(path, class_names=None), "class_names is missing"),
        (lambda path: with_metadata(path, class_names='["a", "a", "b"]'), "twice"),
        (lambda path: with_metadata(path, class_names='["a", 3, "b"]'), "no name"),
        (lambda path: with_metadata(path, class_names='["a", "b"]'), "head.classes.weight"),
    ],
)
def test_what_is_no_model_file_is_one_line(path: Path, damage, reason: str) -> None:
    damage(path)
    with pytest.raises(ModelFileError, match=re.escape(reason)) as caught:
        load_model(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_rooms_that_do_not_fit_each_other(path: Path) -> None:
    config = small().config.model_dump(mode="json")
    config["anchors"]["sizes"] = [[32]]
    with_metadata(path, config=json.dumps(config))
    with pytest.raises(ModelFileError, match="anchors"):
        load_model(path)


def test_a_pickle_by_any_name_is_never_run(tmp_path: Path) -> None:
    class Mischief:
        def __reduce__(self) -> tuple:
            return Path.write_text, (tmp_path / "trace", "executed")

    for name in ("m.safetensors", "m.pth"):
        (tmp_path / name).write_bytes(pickle.dumps(Mischief()))
        with pytest.raises(ModelFileError):
            load_model(tmp_path / name)
    assert not (tmp_path / "trace").exists()


def assert_same_tensors(model: FasterRCNN, other: FasterRCNN) -> None:
    tensors, others = model.state_dict(), other.state_dict()
    assert tensors.keys() == others.keys()
    assert all(torch.equal(tensors[name], others[name]) for name in tensors)
