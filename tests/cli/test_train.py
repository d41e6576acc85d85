from pathlib import Path

import pytest

import frcnn
from frcnn.config import load_config
from frcnn.data.dataset import load_dataset
from frcnn.data.loading import batches
from frcnn.weights.model_file import load_model


@pytest.fixture
def data(make_voc) -> Path:
    pictures = {name: [("cat" if name < "c" else "dog", (4, 4, 40, 30))] for name in "abcdef"}
    return make_voc(pictures, {"train": list("abcd"), "val": ["e", "f"]}, name="data")


def command(data: Path, out: Path, *settings: str) -> list[object]:
    quick = ("data.workers=0", "train.epochs=1", "train.batch_size=1", "data.flip=0")
    return ["train", "tiny", "--data", data, "--out", out, "--device", "cpu", "--set", *quick, *settings]


def test_it_trains(run, data, tmp_path):
    out = tmp_path / "run"
    outcome = run(*command(data, out, "train.lr=0.005"), "--precision", "bfloat16")
    assert (outcome.status, outcome.error) == (0, "")
    assert str(out) in outcome.out
    config = load_config(out / "config.toml")
    assert (config.train.lr, config.train.epochs, config.train.precision) == (0.005, 1, "bfloat16")
    assert load_model(out / "last.safetensors").class_names == ("cat", "dog")


def test_a_run_s_configuration_is_taken_back(run, data, tmp_path):
    run(*command(data, tmp_path / "one", "train.lr=0.004"))
    again = ["--config", tmp_path / "one" / "config.toml", "--data", data, "--backbone", "none", "--device", "cpu"]
    assert run("train", "tiny", "--out", tmp_path / "two", *again).status == 0
    first, second = ((tmp_path / name / "last.safetensors").read_bytes() for name in ("one", "two"))
    assert first == second


def test_ctrl_c_is_status_130(run, data, tmp_path, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(frcnn, "train", interrupted, raising=False)
    outcome = run(*command(data, tmp_path / "run"))
    assert (outcome.status, outcome.error) == (130, "frcnn: interrupted\n")


def test_a_picture_that_cannot_be_read_stops_a_run_that_can_go_on(run, data, tmp_path):
    out = tmp_path / "run"
    order = {"seed": 0, "epoch": 0, "flip": 0.0, "group_by_aspect": True, "workers": 0, "ignore_regions": False}
    *_, last = batches(load_dataset([data], "train"), 1, **order)
    picture = last.pictures[0]
    whole = picture.read_bytes()
    picture.write_bytes(whole[: len(whole) // 2])  # the header is whole: only reading it all shows

    outcome = run(*command(data, out))
    assert outcome.status == 1
    assert str(picture) in outcome.error
    assert "Stopped after step 3" in outcome.out

    picture.write_bytes(whole)
    outcome = run("train", "tiny", "--data", data, "--out", out, "--device", "cpu", "--resume")
    assert outcome.status == 0
    assert "after step 3" in outcome.out
    assert (out / "last.safetensors").exists()
