import copy
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from frcnn.config import override_sections
from frcnn.errors import DataError, FrcnnError, ModelFileError, UsageError
from frcnn.model.detector import FasterRCNN
from frcnn.predict import COMPILERS, Detector, as_image, load, open_model, predict
from frcnn.structures import Detections
from frcnn.weights.build import build
from frcnn.weights.model_file import save_model

CLASSES = ("cat", "dog", "owl")


@pytest.fixture(scope="module")
def model() -> FasterRCNN:
    """Random weights, drawn so that something is found everywhere."""
    torch.manual_seed(5)
    model = build("tiny", CLASSES)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    nn.init.normal_(model.head.classes.weight, std=0.15)
    nn.init.normal_(model.rpn.objectness.weight, std=0.5)
    model.config = override_sections(model.config, {"head": {"score_threshold": 0.3, "max_detections": 20}})
    return model.eval()


@pytest.fixture(scope="module")
def model_file(model: FasterRCNN, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "best.safetensors"
    save_model(model, path)
    return path


@pytest.fixture
def array() -> np.ndarray:
    return np.random.default_rng(6).integers(0, 256, (90, 120, 3), dtype=np.uint8)


def assert_same(ours: Detections, theirs: Detections) -> None:
    assert len(theirs) > 3
    torch.testing.assert_close(ours.boxes, theirs.boxes, rtol=0, atol=1e-2)
    torch.testing.assert_close(ours.scores, theirs.scores, rtol=0, atol=1e-4)
    assert torch.equal(ours.class_ids, theirs.class_ids)
    assert ours.class_names == theirs.class_names


@torch.no_grad()
def test_a_detector_finds_what_its_model_finds(model, array):
    expected = model([as_image(array)])[0]
    assert_same(Detector(model, "cpu")(array), expected)


def test_the_model_is_not_harmed(model, array):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    detector = Detector(model, "cpu", "bfloat16", score_threshold=0.9)
    detector(array)
    assert detector.model is model
    assert model.config.head.score_threshold == 0.3
    assert all(parameter.requires_grad for parameter in model.parameters())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
        assert value.dtype == before[name].dtype


def test_a_model_in_training_is_run_as_it_will_be_used(model, array):
    expected = Detector(model, "cpu")(array)
    model.train()
    try:
        assert_same(Detector(model, "cpu")(array), expected)
        assert model.training
    finally:
        model.eval()


def test_every_kind_of_picture_is_the_same_picture(model, array, tmp_path):
    detector = Detector(model, "cpu")
    path = tmp_path / "a.png"
    Image.fromarray(array).save(path)
    chw = torch.from_numpy(array).permute(2, 0, 1)
    expected = detector(array)
    for picture in (path, str(path), Image.open(path), chw, chw / 255, (chw / 255).double(), array[:, ::-1][:, ::-1]):
        assert_same(detector(picture), expected)


def test_pil_pictures_are_seen_as_people_see_them(array, tmp_path):
    grey = Image.fromarray(array).convert("L")
    assert torch.equal(as_image(grey)[0], as_image(grey)[2])
    turned = Image.fromarray(array)
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise
    turned.save(tmp_path / "turned.jpg", exif=exif)
    assert as_image(Image.open(tmp_path / "turned.jpg")).shape == (3, 120, 90)


def test_a_list_gives_a_list(model, array):
    detector = Detector(model, "cpu", batch_size=2)
    pictures = [array, array[:60], array[:, :70], array, array[:60]]
    found = detector(pictures)
    assert [len(detections) for detections in found] == [len(detector(picture)) for picture in pictures]
    for detections, picture in zip(found, pictures, strict=True):
        torch.testing.assert_close(detections.scores, detector(picture).scores, rtol=0, atol=1e-4)
    assert detector([]) == []


def test_a_score_threshold_of_ones_own(model, array):
    everything = Detector(model, "cpu", score_threshold=0.0)(array)
    few = Detector(model, "cpu", score_threshold=float(everything.scores[2]) - 1e-6)(array)
    assert len(few) == 3
    with pytest.raises(UsageError, match="score_threshold"):
        Detector(model, "cpu", score_threshold=1.5)


def test_bfloat16_finds_about_the_same_and_gives_float32(model, array):
    full, half = (Detector(model, "cpu", precision)(array) for precision in ("float32", "bfloat16"))
    assert half.boxes.dtype == half.scores.dtype == torch.float32
    assert float((half.scores[:5] - full.scores[:5]).abs().max()) < 0.1


@pytest.mark.parametrize("number", [torch.float64, torch.float16])
def test_weights_of_another_precision_are_run_in_the_one_asked_for(model, array, number):
    other = copy.deepcopy(model).to(number)
    found = Detector(other, "cpu")(array)
    assert found.scores.dtype == torch.float32
    if number == torch.float64:
        assert_same(found, Detector(model, "cpu")(array))
    assert next(other.parameters()).dtype == number


IN_ITS_OWN = """
import sys, torch, frcnn, numpy as np
torch.set_num_threads(1)
detector, compiled = frcnn.load(sys.argv[1], "cpu"), frcnn.load(sys.argv[1], "cpu", compile=True)
for size in ((90, 120, 3), (120, 90, 3), (90, 120, 3)):
    array = np.random.default_rng(6).integers(0, 256, size, dtype=np.uint8)
    ours, theirs = compiled(array), detector(array)
    assert len(ours) > 3
    torch.testing.assert_close(ours.boxes, theirs.boxes, rtol=0, atol=1e-2)
    torch.testing.assert_close(ours.scores, theirs.scores, rtol=0, atol=1e-4)
"""


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, COMPILERS)), reason="torch.compile needs a C++ compiler")
def test_a_compiled_detector_finds_the_same_at_several_sizes(model_file):
    """In whole graphs, and in a process of its own, without the hook that checks shapes: it breaks graphs."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IN_ITS_OWN, model_file], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_compiling_without_a_compiler_says_so(model, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UsageError, match=r"needs a C\+\+ compiler"):
        Detector(model, "cpu", compile=True)


def test_results_can_be_used_in_further_arithmetic(model, array):
    found = Detector(model, "cpu")(array)
    found.boxes.add_(1)  # inference mode's tensors would refuse outside of it
    assert not found.scores.is_inference()


@pytest.mark.parametrize(
    ("picture", "error", "says"),
    [
        (3, TypeError, "not int"),
        ([3], TypeError, "not int"),
        (None, TypeError, "not NoneType"),
        (np.zeros((9, 9, 3)), ValueError, "uint8"),
        (np.zeros((3, 9, 9), dtype=np.uint8), ValueError, "(H, W, 3)"),
        (np.zeros((9, 9), dtype=np.uint8), ValueError, "(H, W, 3)"),
        (np.zeros((0, 9, 3), dtype=np.uint8), ValueError, "(H, W, 3)"),
        (torch.zeros(1, 3, 9, 9), ValueError, "(3, H, W)"),
        (torch.zeros(9, 9, 3), ValueError, "(3, H, W)"),
        (torch.zeros(3, 9, 9, dtype=torch.int64), ValueError, "int64"),
        (torch.full((3, 9, 9), 255.0), ValueError, "[0, 1]"),
        (torch.full((3, 9, 9), float("nan")), ValueError, "[0, 1]"),
        ("absent.jpg", DataError, "absent.jpg"),
    ],
)
def test_what_is_no_picture_says_so(model, picture, error, says):
    with pytest.raises(error) as raised:
        Detector(model, "cpu")(picture)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [({"device": "gpu"}, "gpu"), ({"batch_size": 0}, "batch_size")],
)
def test_what_a_detector_cannot_be_is_said_at_once(model, model_file, options, says):
    with pytest.raises(UsageError, match=says):
        Detector(model, **options)
    with pytest.raises(UsageError, match=says):
        load(model_file, **options)


def test_load_takes_a_model_file(model, model_file, array):
    detector = load(model_file, "cpu", score_threshold=0.4)
    assert detector.class_names == CLASSES
    assert_same(detector(array), Detector(model, "cpu", score_threshold=0.4)(array))


def test_load_takes_a_preset_with_published_weights(model, monkeypatch):
    monkeypatch.setattr("frcnn.predict.load_published", lambda name, progress: {"resnet50_fpn": model}[name])
    assert open_model("resnet50_fpn") is model


def test_what_is_no_model_says_so(tmp_path):
    (tmp_path / "text.safetensors").write_text("no weights")
    torch.save({}, tmp_path / "pickle.pt")
    save_file({"a": torch.zeros(1)}, tmp_path / "others.safetensors")
    for name in ("absent.safetensors", "text.safetensors", "pickle.pt", "others.safetensors", "."):
        with pytest.raises(ModelFileError) as raised:
            open_model(tmp_path / name)
        assert str(tmp_path) in str(raised.value)
        assert "\n" not in str(raised.value)
    with pytest.raises(ModelFileError, match="frcnn presets"):
        open_model("resnet50_fnp")
    with pytest.raises(FrcnnError, match="no published weights"):
        open_model("vgg16")


class TestPredict:
    """Files in, files out."""

    @pytest.fixture
    def photos(self, array, tmp_path) -> Path:
        for name in ("a.jpg", "b.PNG", "c.bmp", "deeper/a.jpg", "deeper/c.png"):
            path = tmp_path / "photos" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array[: 50 + len(name)]).save(path)
        return tmp_path / "photos"

    def test_draws_each_picture_and_writes_what_it_found(self, model_file, photos, tmp_path):
        found = predict(model_file, [photos], tmp_path / "out", device="cpu")
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
            "a.jpg",
            "b.PNG",
            "c.png",
            "detections.json",
        ]
        written = json.loads((tmp_path / "out" / "detections.json").read_text())
        assert written == json.loads(json.dumps(found.to_dict()))
        one = written[str(photos / "c.bmp")]
        assert (one["height"], one["width"], one["drawn"]) == (55, 120, "c.png")
        expected = load(model_file, "cpu")(photos / "c.bmp")
        assert one["class_names"] == expected.to_dict()["class_names"]
        torch.testing.assert_close(torch.tensor(one["boxes"]), expected.boxes)
        drawn = Image.open(tmp_path / "out" / "c.png")
        assert drawn.size == (120, 55)
        assert drawn.tobytes() != Image.open(photos / "c.bmp").tobytes()
        assert found.problems == []

    def test_the_same_name_twice_is_two_files(self, model_file, photos, tmp_path):
        found = predict(model_file, [f"{photos}/**/*"], tmp_path / "out", device="cpu", batch_size=2)
        drawn = {str(path.relative_to(photos)): target.name for path, target in found.drawn.items()}
        assert drawn == {
            "a.jpg": "a.jpg",
            "b.PNG": "b.PNG",
            "c.bmp": "c.png",
            "deeper/a.jpg": "a-2.jpg",
            "deeper/c.png": "c-2.png",
        }
        assert all(target.is_file() for target in found.drawn.values())

    @pytest.mark.parametrize(
        ("save", "files"), [(["json"], ["detections.json"]), (["pictures"], ["a.jpg"]), ([], None)]
    )
    def test_only_what_is_wanted_is_written(self, model_file, photos, tmp_path, save, files):
        found = predict(model_file, [photos / "a.jpg"], tmp_path / "out", save=save, device="cpu")
        written = [path.name for path in (tmp_path / "out").iterdir()] if (tmp_path / "out").exists() else None
        assert written == files
        assert len(found.detections) == 1
        assert str(tmp_path / "out") in found.summary() or not save

    def test_a_picture_that_cannot_be_read_is_a_line_and_the_others_are_done(self, model_file, photos, tmp_path):
        whole = (photos / "a.jpg").read_bytes()
        (photos / "a.jpg").write_bytes(whole[: len(whole) // 2])
        found = predict(model_file, [photos, photos / "gone.jpg"], tmp_path / "out", device="cpu", batch_size=3)
        assert [path.name for path in found.detections] == ["b.PNG", "c.bmp"]
        assert len(found.problems) == 2
        assert "gone.jpg" in found.problems[0]
        assert "a.jpg" in found.problems[1]
        assert not (tmp_path / "out" / "a.jpg").exists()

    def test_nothing_readable_leaves_no_folder(self, model_file, tmp_path):
        (tmp_path / "a.jpg").write_text("no picture")
        found = predict(model_file, [tmp_path / "a.jpg"], tmp_path / "out", device="cpu")
        assert len(found.problems) == 1
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        ("sources", "options", "error"),
        [
            (["absent.jpg"], {}, UsageError),
            (["*.jpeg"], {}, UsageError),
            ([], {}, UsageError),
            (["a.jpg"], {"save": ["voc"]}, UsageError),
            (["a.jpg"], {"device": "gpu"}, UsageError),
            (["a.jpg"], {"score_threshold": 2.0}, UsageError),
            (["a.jpg"], {"out": "a.jpg"}, UsageError),
            (["a.jpg"], {"out": "."}, UsageError),
            (["a.jpg"], {"out": "a.jpg/out"}, FrcnnError),
            (["a.jpg"], {"model": "absent.safetensors"}, ModelFileError),
        ],
    )
    def test_what_cannot_end_well_leaves_no_folder(self, model_file, photos, monkeypatch, sources, options, error):
        monkeypatch.chdir(photos)
        before = sorted(photos.rglob("*")), (photos / "a.jpg").read_bytes()
        with pytest.raises(error) as raised:
            predict(**({"model": model_file, "out": "out", "sources": sources, "device": "cpu"} | options))
        assert "\n" not in str(raised.value)
        assert (sorted(photos.rglob("*")), (photos / "a.jpg").read_bytes()) == before
