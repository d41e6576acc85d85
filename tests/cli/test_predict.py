import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from frcnn.weights.build import build
from frcnn.weights.model_file import save_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "best.safetensors"
    torch.manual_seed(1)
    model = build("tiny", ["cat", "dog"])
    nn.init.normal_(model.head.classes.weight, std=0.2)
    save_model(model, path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for number, name in enumerate(("a.jpg", "b.png")):
        pixels = np.random.default_rng(number).integers(0, 256, (60, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / name)
    return tmp_path / "photos"


def test_it_draws_writes_and_says_where(run, model, photos, tmp_path):
    outcome = run("predict", model, photos, "--out", tmp_path / "out", "--score", 0.2)
    assert (outcome.status, outcome.error) == (0, "")
    written = json.loads((tmp_path / "out" / "detections.json").read_text())
    objects = sum(len(one["scores"]) for one in written.values())
    assert outcome.out == f"{objects} objects in 2 pictures: {tmp_path / 'out'}\n"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.jpg", "b.png", "detections.json"]
    assert all(score > 0.2 for one in written.values() for score in one["scores"])


def test_json_is_all_that_is_printed(run, model, photos, tmp_path):
    outcome = run("predict", model, photos / "a.jpg", "--out", tmp_path / "out", "--save", "", "--json")
    assert (outcome.status, outcome.error) == (0, "")
    assert list(json.loads(outcome.out)) == [str(photos / "a.jpg")]
    assert not (tmp_path / "out").exists()


def test_it_writes_into_runs_predict(run, model, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("predict", model, "photos/*.png", "--save", "json").status == 0
    assert list(json.loads((tmp_path / "runs" / "predict" / "detections.json").read_text())) == ["photos/b.png"]


def test_what_to_save_is_checked(run, model, photos):
    outcome = run("predict", model, photos, "--save", "pictures,voc")
    assert outcome.status == 2
    assert "voc" in outcome.error


def test_letters_that_drawn_pictures_lack_are_told_of_once(run, photos, tmp_path, without_fonts):
    save_model(build("tiny", ["고양이"]), tmp_path / "model.safetensors")
    asked = ("predict", tmp_path / "model.safetensors", photos, "--out", tmp_path / "out", "--score", 0)
    assert run(*asked, "--save", "json").error == ""
    outcome = run(*asked)
    assert outcome.status == 0
    assert outcome.error.startswith("frcnn: no font was found for 고, 양, 이: ")
    assert outcome.error.count("\n") == 1
