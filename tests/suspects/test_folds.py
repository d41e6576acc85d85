"""Cross-validation: who is trained on what, and what becomes of what was begun."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from frcnn.config import load_preset, to_toml
from frcnn.data.dataset import load_dataset, training_splits
from frcnn.data.sample import write_sample
from frcnn.errors import ConfigError, DataError, UsageError
from frcnn.structures import Detections
from frcnn.suspects import folds
from frcnn.suspects.folds import cross_validated, fold_of_each, recipe_of, write_fold

SMALL = (
    "model.input.short_side=64",
    "model.input.long_side=96",
    "train.batch_size=2",
    "train.steps=2",
    "data.workers=0",
)


class TestRecipe:
    """How models are trained."""

    def test_of_a_preset(self):
        recipe = recipe_of("tiny", ["train.steps=7"])
        assert (recipe.preset, recipe.is_run, recipe.config.train.steps) == ("tiny", False, 7)
        assert (recipe.config.data.validation, recipe.config.train.trackers) == (0, ())

    def test_of_the_run_of_a_model(self, tmp_path):
        config = load_preset("tiny").model_dump()
        config["train"] |= {"seed": 5, "patience": 3, "trackers": ("wandb",)}
        (tmp_path / "config.toml").write_text(to_toml(load_preset("tiny").model_validate(config)))
        recipe = recipe_of(tmp_path / "best.safetensors", ["train.steps=7"])
        assert (recipe.preset, recipe.is_run) == ("tiny", True)
        train = recipe.config.train
        assert (train.seed, train.steps, train.patience, train.trackers) == (5, 7, 0, ())

    @pytest.mark.parametrize("asked", ["data.validation=.5", "train.patience = 3", "train.trackers=[]"])
    def test_what_folds_decide_cannot_be_asked_for(self, asked):
        key = asked.partition("=")[0].strip()
        with pytest.raises(UsageError, match=rf"^--set {key}: --folds decides it \({key}=.*\): leave it out$"):
            recipe_of("tiny", ["train.steps=7", asked])

    def test_what_is_not_known_is_said(self, tmp_path):
        with pytest.raises(UsageError, match=r"there is no .*config.toml: name a model in its run's folder"):
            recipe_of(tmp_path / "best.safetensors", [])
        with pytest.raises(ConfigError, match=r"train\.steps"):
            recipe_of("tiny", ["train.stepps=7"])


def test_parts_are_of_equal_size_and_the_same_every_time():
    parts = fold_of_each(np.arange(11), 3)
    assert sorted(np.bincount(parts).tolist()) == [3, 4, 4]
    assert parts.tolist() == fold_of_each(np.arange(11), 3).tolist()
    assert parts.tolist() != sorted(parts.tolist())


def test_pictures_of_one_file_are_of_one_part():
    """Or a model would look at what it was trained on."""
    files = np.array([0, 1, 2, 0, 3, 1])
    parts = fold_of_each(files, 2)
    assert parts.tolist() == fold_of_each(np.arange(4), 2)[files].tolist()


def test_a_fold_holds_every_picture_once(voc_set, tmp_path):
    dataset = load_dataset([voc_set], "trainval")
    left_out = np.array([False, True, False, True])
    for _ in range(2):  # what is there already is written anew
        write_fold(dataset, left_out, tmp_path / "fold")
    learnt, nothing = training_splits([tmp_path / "fold"], validation=0, seed=0)
    tested = load_dataset([tmp_path / "fold"], "test")
    assert nothing is None
    assert learnt.class_names == dataset.class_names
    for part, numbers in ((learnt, (0, 2)), (tested, (1, 3))):
        assert len(part) == 2
        for copy, number in zip(part.examples, numbers, strict=True):
            example = dataset.examples[number]
            assert copy.picture.name == f"{number:08d}.jpg"
            assert copy.picture.read_bytes() == example.picture.read_bytes()
            assert torch.equal(copy.target.boxes, example.target.boxes)
            assert torch.equal(copy.target.class_ids, example.target.class_ids)


def test_difficult_objects_stay_so(make_voc, tmp_path):
    root = make_voc({"a": [("cat", (1, 1, 20, 30), True), ("cat", (5, 5, 40, 40))]}, {"trainval": ["a"]})
    write_fold(load_dataset([root], "trainval"), np.array([False]), tmp_path / "fold")
    (example,) = load_dataset([tmp_path / "fold"], "train").examples
    assert example.target.ignored.tolist() == [True, False]


def test_names_and_thin_boxes_come_back(odd_names, tmp_path):
    """VOC's layout would strip the names, and have no area for a box of less than a pixel."""
    dataset = load_dataset([odd_names], "trainval")
    write_fold(dataset, np.array([False]), tmp_path / "fold")
    again = load_dataset([tmp_path / "fold"], "train")
    assert again.class_names == dataset.class_names == ("cat", "cat  2", "traffic\tlight")
    (example,) = again.examples
    torch.testing.assert_close(example.target.boxes[:, 2:] - example.target.boxes[:, :2], torch.tensor([[0.5, 5]] * 3))
    assert example.target.class_ids.tolist() == [0, 1, 2]


@pytest.fixture
def odd_names(tmp_path):
    """One picture, with thin objects of names that are hard to tell apart."""
    root = tmp_path / "coco"
    root.mkdir()
    Image.new("RGB", (64, 48)).save(root / "one.jpg")
    whole = {
        "images": [{"id": 1, "file_name": "one.jpg", "height": 48, "width": 64}],
        "annotations": [
            {"id": number, "image_id": 1, "category_id": number, "bbox": [8 * number, 4, 0.5, 5]}
            for number in (1, 2, 3)
        ],
        "categories": [
            {"id": number, "name": name} for number, name in enumerate(("cat", "cat  2", "traffic\tlight"), start=1)
        ],
    }
    (root / "annotations.json").write_text(json.dumps(whole))
    return root


@pytest.fixture
def pretended(monkeypatch):
    """Trainings that only tell what they were asked, and models that are their own path."""
    asked = []

    def train(preset, data, out, **options):
        asked.append((load_dataset([data], "train"), out, options))
        out.mkdir(parents=True)
        return out

    monkeypatch.setattr(folds, "train", train)
    monkeypatch.setattr(folds, "load_model", lambda path: path)
    return asked


def test_nobody_looks_at_what_it_has_learnt(voc_set, tmp_path, pretended):
    """The detection on each picture says which training gave it; classes stay in their order."""
    dataset = load_dataset([voc_set], "trainval", ("dog", "cat"))
    calls = iter(range(9))

    def detect(model: Path, part):
        number = next(calls)
        assert model == pretended[number][1] / "last.safetensors"
        return [
            Detections(torch.tensor([[0.0, 0.0, 1.0, number]]), torch.ones(1), torch.tensor([1]), part.class_names)
            for _ in part.examples
        ]

    console = Console(file=io.StringIO(), width=200)
    found = cross_validated(dataset, recipe_of("tiny", []), 3, tmp_path, detect, "cpu", console)
    part_of = fold_of_each(np.arange(4), 3).tolist()
    assert [int(one.boxes[0, 3]) for one in found] == part_of
    assert all(one.class_names == ("dog", "cat") and one.class_ids.tolist() == [1] for one in found)
    learnt = [{int(example.picture.stem) for example in data.examples} for data, _, _ in pretended]
    assert all(learnt[part].isdisjoint({number}) for number, part in enumerate(part_of))
    assert "Fold 2 of 3: 3 pictures to train on, 1 left out" in console.file.getvalue()


def test_other_annotations_begin_anew(voc_set, tmp_path, pretended):
    def look(names) -> set[str]:
        dataset = load_dataset([voc_set], "trainval", names)
        nothing = Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.long), ("cat", "dog"))
        console = Console(file=io.StringIO())
        cross_validated(dataset, recipe_of("tiny", []), 2, tmp_path, lambda _, p: [nothing] * len(p), "cpu", console)
        return {path.name for path in tmp_path.glob("folds-*")}

    first = look(("cat", "dog"))
    path = voc_set / "Annotations" / "000002.xml"
    path.write_text(path.read_text().replace("dog", "cat", 1))
    assert len(look(("cat", "dog"))) == 2
    assert len(first) == 1


def test_more_parts_than_pictures_are_refused(voc_set, tmp_path):
    dataset = load_dataset([voc_set], "trainval")
    with pytest.raises(UsageError, match="only 4 pictures"):
        cross_validated(dataset, recipe_of("tiny", []), 5, tmp_path, lambda *_: [], "cpu", Console())


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_picture_that_cannot_be_read_is_named_as_its_own_set_has_it(voc_set, tmp_path, pretended, monkeypatch, part):
    dataset = load_dataset([voc_set], "trainval")

    def fail(*arguments, **_options):
        data = tmp_path.glob("out/folds-*/1/data") if part == "train" else [arguments[1].examples[0].picture.parents[1]]
        broken = min(next(iter(data)).glob(f"{part}/*.jpg"))
        raise DataError(f"{broken}: is no picture")

    if part == "train":
        monkeypatch.setattr(folds, "train", fail)
    with pytest.raises(DataError) as caught:
        cross_validated(dataset, recipe_of("tiny", []), 2, tmp_path / "out", fail, "cpu", Console(file=io.StringIO()))
    first = int(np.flatnonzero((fold_of_each(np.arange(4), 2) == 0) == (part == "test"))[0])
    assert str(caught.value) == f"{dataset.picture(first)}: is no picture"


@pytest.mark.slow
def test_real_trainings_that_are_stopped_go_on(tmp_path, monkeypatch):
    data = write_sample(tmp_path / "sample", 12)
    dataset, _ = training_splits([data], validation=0, seed=0)
    recipe = recipe_of("tiny", SMALL)
    said = io.StringIO()
    real, stops = folds.train, [False, True]

    def train(*arguments, **options):
        real(*arguments, **options)
        if stops and stops.pop(0):
            raise KeyboardInterrupt

    monkeypatch.setattr(folds, "train", train)

    def detect(model, part):
        assert model.class_names == part.class_names
        nothing = Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.long), part.class_names)
        return [nothing] * len(part)

    with pytest.raises(KeyboardInterrupt):
        cross_validated(dataset, recipe, 2, tmp_path, detect, "cpu", Console(file=said, width=200))
    assert "The same command goes on from there." in said.getvalue()
    assert "Resuming" not in said.getvalue()
    found = cross_validated(dataset, recipe, 2, tmp_path, detect, "cpu", Console(file=said, width=200))
    assert said.getvalue().count("Resuming after step 2.") == 2
    assert len(found) == len(dataset)
