import csv
import io
import json
import os
import shlex
import shutil
from typing import get_args

import pytest
import torch
from data_sets import name_of, write_coco, write_voc, write_yolo
from localhost import serving
from plants import COCO_PLANTS, LIST_PLANTS, VOC_PLANTS, YOLO_PLANTS
from small_archives import SERVED, SMALL, TERMS

from frcnn import fetching
from frcnn.cli.data import DataSetName
from frcnn.config import load_preset
from frcnn.data.archives import PUBLISHED
from frcnn.data.dataset import load_dataset
from frcnn.structures import Detections
from frcnn.suspects import run as suspects_run
from frcnn.suspects.findings import Suspects
from frcnn.training.settings import settle
from frcnn.weights.build import build
from frcnn.weights.model_file import save_model


def test_sample_writes_a_data_set_and_says_what_to_do_with_it(run, tmp_path):
    outcome = run("data", "sample", tmp_path / "new" / "sample", "--pictures", 12, "--seed", 3)
    assert (outcome.status, outcome.error) == (0, "")
    assert f"frcnn train tiny --data {tmp_path / 'new' / 'sample'}" in outcome.out
    sizes = [len(load_dataset([tmp_path / "new" / "sample"], split)) for split in ("trainval", "test")]
    assert sum(sizes) == 12


class TestDownload:
    """Exit status, and one line."""

    @pytest.fixture
    def server(self, monkeypatch):
        monkeypatch.setattr(fetching, "PAUSE", 0.001)
        for name, published in SMALL.items():
            monkeypatch.setitem(PUBLISHED, name, published)
        with serving(dict(SERVED)) as running:
            yield running

    def test_it_says_whose_terms_apply_and_what_to_do_next(self, run, server, tmp_path):
        outcome = run(
            "data", "download", "voc2007", tmp_path, "--mirror", "http://127.0.0.1:9", "--mirror", server.address
        )
        assert (outcome.status, outcome.error) == (0, "")
        path = tmp_path / "VOCdevkit"
        first, last = outcome.out.splitlines()
        assert first == f"voc2007: {TERMS}"
        assert last == f"{path}: now try frcnn train mobilenet_v2_fpn --data {path}"
        assert [path.name for path in tmp_path.iterdir()] == ["VOCdevkit"]

    def test_archives_can_be_kept(self, run, server, tmp_path):
        outcome = run("data", "download", "coco2017", tmp_path, "--mirror", server.address, "--keep-archives")
        assert (outcome.status, outcome.error) == (0, "")
        archives = {"annotations.zip", "val2017.zip", "train2017.zip"}
        assert {path.name for path in tmp_path.iterdir()} == archives | {"annotations", "val2017", "train2017"}

    def test_what_fails_is_a_line_and_1(self, run, server, tmp_path):
        server.files.clear()
        outcome = run("data", "download", "voc2007", tmp_path, "--mirror", server.address)
        assert outcome.status == 1
        assert outcome.error.startswith(
            f"frcnn: trainval.tar: cannot be fetched from {server.address}/trainval.tar (HTTP"
        )
        assert outcome.error.count("\n") == 1

    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            (["voc2005", "new"], "voc2005"),
            (["voc2007"], "DIR"),
            (["voc2007", "file"], "file: cannot be made"),
            (["voc2007", "new", "--mirror", "localhost"], "'localhost' is no address"),
        ],
    )
    def test_wrong_usage_is_a_line_and_2(self, run, server, tmp_path, monkeypatch, words, reason):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "file").write_text("")
        outcome = run("data", "download", *words)
        assert outcome.status == 2
        assert reason in outcome.error
        assert outcome.error.count("\n") == 1
        assert server.asked == []
        assert not (tmp_path / "new").exists()

    def test_ctrl_c_is_a_line_and_130(self, run, server, tmp_path, monkeypatch):
        def interrupted(*arguments, **named):
            raise KeyboardInterrupt

        monkeypatch.setattr("frcnn.data.download.fetch_file", interrupted)
        outcome = run("data", "download", "voc2007", tmp_path, "--mirror", server.address)
        assert outcome.status == 130
        assert outcome.error.startswith(f"frcnn: interrupted: what was fetched stays in {tmp_path}, and the same")


class TestCheck:
    """Exit status, what is printed, and what is written."""

    def test_a_clean_set_is_0(self, run, tmp_path):
        root = write_voc(tmp_path / "set")
        outcome = run("data", "check", root)
        assert (outcome.status, outcome.error) == (0, "")
        assert outcome.out.splitlines()[-1] == f"{root}: 0 errors, 0 warnings in 48 pictures"
        assert "train  val  test" in outcome.out

    def test_an_error_is_a_line_with_its_place_and_1(self, run, tmp_path):
        root = write_voc(tmp_path / "set")
        fault = VOC_PLANTS["no area"](root, name_of(7))
        outcome = run("data", "check", root)
        assert (outcome.status, outcome.error) == (1, "")
        assert outcome.out.splitlines()[0] == (
            f"error: {fault.file}, line {fault.line}: object 2 (square): the box (30, 40, 30, 70) has no area: "
            "mend it, or take it out"
        )

    def test_a_warning_is_0(self, run, tmp_path):
        root = write_voc(tmp_path / "set")
        fault = VOC_PLANTS["cmyk"](root, name_of(7))
        outcome = run("data", "check", root)
        assert outcome.status == 0
        assert outcome.out.startswith(f"warning: {fault.file}: ")

    def test_json_is_alone_on_standard_output(self, run, tmp_path):
        root = write_voc(tmp_path / "set")
        fault = VOC_PLANTS["no area"](root, name_of(7))
        outcome = run("data", "check", root, "--json", "--out", tmp_path / "out", "--fix", tmp_path / "copy")
        assert outcome.status == 1
        told = json.loads(outcome.out)
        assert [(error["file"], error["line"]) for error in told["errors"]] == [(str(fault.file), fault.line)]
        assert told["summary"]["pictures"] == {"train": 36, "val": 6, "test": 6}
        assert len(outcome.error.splitlines()) == 2

    @pytest.mark.parametrize(
        ("write", "plants"),
        [(write_voc, VOC_PLANTS | LIST_PLANTS), (write_coco, COCO_PLANTS), (write_yolo, YOLO_PLANTS)],
    )
    def test_a_mended_copy_passes(self, run, tmp_path, write, plants):
        root, copy = write(tmp_path / "set"), tmp_path / "copy"
        for number, plant in enumerate(plants.values()):
            plant(root, name_of(2 + number))
        outcome = run("data", "check", root, "--fix", copy)
        assert (outcome.status, outcome.error) == (1, "")
        assert outcome.out.splitlines()[-1].startswith(f"{copy}: a mended copy, ")
        assert run("data", "check", copy).status == 0

    def test_a_file_with_an_odd_name(self, run, tmp_path):
        """With bytes that are no text, the end of a line, and what looks like markup and an emoji."""
        root = write_voc(tmp_path / "set")
        name = os.fsdecode(b"\xff\n[red]:cat:")
        (root / f"JPEGImages/{name}.jpg").write_bytes(b"")
        shutil.copyfile(root / "Annotations/p00.xml", root / f"Annotations/{name}.xml")
        outcome = run("data", "check", root, "--out", tmp_path / "out", "--fix", tmp_path / "copy")
        assert (outcome.status, outcome.error) == (1, "")
        assert outcome.out.splitlines()[0].startswith(f"error: {root}/JPEGImages/  [red]:cat:.jpg: is no picture")
        assert (tmp_path / "out/check.html").is_file()
        assert json.loads(run("data", "check", root, "--json").out)["errors"][0]["file"].endswith(f"/{name}.jpg")

    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            ((), "PATH"),
            (("set", "--fix", "set/copy"), "lies in set, which is not to be touched: name a folder elsewhere"),
            (("set", "--fix", "file"), "file: cannot be, as file is a file: name a new folder"),
            (("set", "--fix", "."), "not empty"),
            (("set", "--out", "file/out"), "file/out: is no place for a page"),
        ],
    )
    def test_wrong_usage_is_a_line_and_2(self, run, tmp_path, monkeypatch, words, reason):
        monkeypatch.chdir(tmp_path)
        write_voc(tmp_path / "set", {"train": [0, 1]})
        (tmp_path / "file").touch()
        outcome = run("data", "check", *words)
        assert outcome.status == 2
        assert reason in outcome.error
        assert (outcome.out, outcome.error.count("\n")) == ("", 1)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "set"]

    def test_no_data_set_is_a_line_and_1(self, run, tmp_path):
        outcome = run("data", "check", tmp_path / "absent")
        assert outcome.status == 1
        assert outcome.error.startswith(f"frcnn: {tmp_path / 'absent'}: does not exist")
        (tmp_path / "empty").mkdir()
        outcome = run("data", "check", tmp_path / "empty", "--fix", tmp_path / "copy")
        assert outcome.status == 1
        assert outcome.error.count("\n") == 1
        assert not (tmp_path / "copy").exists()


def test_the_names_of_the_command_are_those_of_the_table():
    assert get_args(DataSetName) == tuple(PUBLISHED)


@pytest.mark.parametrize(
    "words",
    [
        ("convert", "VOC2007", "copy", "--to", "yolo"),
        ("anchors", "VOC2007", "--preset", "tiny"),
        ("suspects", "absent.safetensors", "VOC2007"),
    ],
)
def test_annotations_can_be_read_anew(run, make_voc, tmp_path, monkeypatch, words):
    """Each command that reads an index can be told so, as the message says of a picture that could not be read."""
    make_voc({"a": [("cat", (1, 1, 9, 9))], "b": []}, {"train": "ab"})
    monkeypatch.chdir(tmp_path)
    asked = []

    def opened(source, *, anew=False):
        asked.append(anew)
        return source.read()

    monkeypatch.setattr("frcnn.data.dataset.open_index", opened)
    run("data", *words)
    assert asked == [False] * len(asked)
    assert bool(asked) == (words[0] != "suspects")  # a model that is absent is found out before any data is opened
    asked.clear()
    run("data", *words, "--reindex")
    assert asked[0]


class TestSuspects:
    """A row a doubt, for people and for programs."""

    @pytest.fixture
    def model(self, tmp_path):
        path = tmp_path / "model.safetensors"
        save_model(build("tiny", ["cat", "dog"]), path)
        return path

    @pytest.fixture
    def sees_a_dog_in_d(self, monkeypatch):
        """In d a dog where a cat is annotated, in all others what is annotated."""

        def detections_of(_, dataset, **__):
            box = torch.tensor([[10.0, 10.0, 50.0, 40.0]])
            return [
                Detections(box, torch.tensor([0.98]), torch.tensor([int(one.picture.stem == "d")]), ("cat", "dog"))
                for one in dataset.examples
            ]

        monkeypatch.setattr(suspects_run, "detections_of", detections_of)

    @pytest.fixture
    def data(self, make_voc):
        names = "abcdefghijkl"
        return make_voc({name: [("cat", (11, 11, 50, 40))] for name in names}, {"test": names, "train": "a"})

    @pytest.mark.usefixtures("sees_a_dog_in_d")
    def test_a_list_a_table_and_a_page(self, run, model, data, tmp_path):
        outcome = run("data", "suspects", model, data, "--out", tmp_path / "out", "--device", "cpu")
        assert outcome.status == 0
        assert "12 pictures with 12 objects (test)" in outcome.out
        assert "d.xml:2" in outcome.out
        assert {path.name for path in (tmp_path / "out").iterdir()} == {"suspects.html", "suspects.csv"}

    @pytest.mark.usefixtures("sees_a_dog_in_d", "without_fonts")
    def test_letters_that_the_page_lacks_are_told_of(self, run, model, data, tmp_path, monkeypatch):
        monkeypatch.setattr(Suspects, "class_names", lambda _: {"고양이"})
        outcome = run("data", "suspects", model, data, "--out", tmp_path / "out", "--json")
        assert outcome.status == 0
        assert outcome.error.splitlines()[-1].startswith("frcnn: no font was found for 고, 양, 이: ")

    @pytest.mark.usefixtures("sees_a_dog_in_d")
    def test_json_is_the_table(self, run, model, data, tmp_path):
        outcome = run("data", "suspects", model, data, "--out", tmp_path / "out", "--json", "--lang", "ko", "--top", 1)
        assert outcome.status == 0
        (row,) = json.loads(outcome.out)["suspects"]
        assert (row["kind"], row["annotated_class"], row["proposed_class"], row["line"]) == ("class", "cat", "dog", 2)
        assert row["remedy"] == "cat보다 dog에 가깝지 않습니까?"
        (told,) = csv.DictReader(io.StringIO((tmp_path / "out" / "suspects.csv").read_text(encoding="utf-8")))
        assert told == {name: "" if value is None else str(value) for name, value in row.items()}

    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            (["--folds", 1], "--folds"),
            (["--folds", 2, "--split", "test"], "nothing is ever trained on test"),
            (["--set", "train.steps=1"], "add --folds"),
            (["--top", 0], "--top"),
            (["--lang", "de"], "--lang"),
        ],
    )
    def test_wrong_usage_is_a_line_and_2(self, run, model, data, tmp_path, words, reason):
        outcome = run("data", "suspects", model, data, "--out", tmp_path / "out", *words)
        assert outcome.status == 2
        assert reason in outcome.error
        assert outcome.error.count("\n") == 1
        assert not (tmp_path / "out").exists()

    def test_what_fails_is_a_line_and_1(self, run, model, data, tmp_path):
        (data / "JPEGImages" / "d.jpg").write_bytes(b"no picture")
        outcome = run("data", "suspects", model, data, "--out", tmp_path / "out")
        assert outcome.status == 1
        assert "d.jpg" in outcome.error.splitlines()[-1]
        absent = run("data", "suspects", tmp_path / "absent.safetensors", data, "--out", tmp_path / "out")
        assert (absent.status, absent.error.count("\n")) == (1, 1)


class TestAnchors:
    @pytest.fixture(autouse=True)
    def _quick(self, monkeypatch):
        """Only pictures of the same size are tried."""
        monkeypatch.setattr("frcnn.data.anchor_advice.advice.LARGER", ())

    @pytest.fixture
    def cells(self, make_voc):
        """Squares of 34 px, between two of the preset's sizes, and boxes that cannot be."""
        pictures = {f"p{place}": [("cell", (place, place, place + 33, place + 33))] for place in range(20, 190, 17)} | {
            "bad": [("cell", (50, 50, 50, 50)), ("cell", (60, 60, 40, 90))]
        }
        return make_voc(pictures, splits={"train": list(pictures)}, size=(240, 320))

    def test_the_last_line_trains_as_advised(self, run, cells, tmp_path):
        outcome = run("data", "anchors", cells, "--preset", "tiny", "--set", "data.bad_boxes=skip", "data.validation=0")
        assert (outcome.status, outcome.error) == (0, "")
        *_, last = outcome.out.splitlines()
        words = shlex.split(last)
        assert words[:6] == ["frcnn", "train", "tiny", "--data", str(cells), "--set"]
        assert words[6:8] == ["data.bad_boxes=skip", "data.validation=0"]
        assert words[8].startswith("model.anchors.sizes=[[")
        assert outcome.out.startswith(
            "tiny, short side 240, long side up to 400: 11 pictures, 10 objects, bad boxes left out: 2"
        )
        settings = settle("tiny", tmp_path, config=None, overrides=words[6:], precision=None, resume=False)
        assert settings.model.anchors.sizes != load_preset("tiny").model.anchors.sizes

    def test_as_json(self, run, cells):
        outcome = run("data", "anchors", cells, "--preset", "tiny", "--set", "data.bad_boxes=skip", "--json")
        assert (outcome.status, outcome.error) == (0, "")
        values = json.loads(outcome.out)
        assert (values["preset"], values["skipped_boxes"]) == ("tiny", 2)
        assert values["suggestions"][0]["settings"][0] == "data.bad_boxes=skip"

    def test_bad_boxes_are_refused_unless_they_are_to_be_skipped(self, run, cells):
        outcome = run("data", "anchors", cells, "--preset", "tiny")
        assert (outcome.status, outcome.out) == (1, "")
        assert "bad.xml" in outcome.error
        assert "data.bad_boxes=skip" in outcome.error

    @pytest.mark.parametrize(
        ("words", "status", "reason"),
        [
            (["nowhere"], 1, "nowhere"),
            (["nowhere", "--preset", "tinny"], 2, "did you mean tiny?"),
            (["nowhere", "--set", "model.anchors.size=[[1]]"], 2, "did you mean model.anchors.sizes?"),
            ([], 2, "PATH"),
        ],
    )
    def test_what_is_wrong_is_a_line(self, run, words, status, reason):
        outcome = run("data", "anchors", *words)
        assert outcome.status == status
        assert reason in outcome.error
        assert outcome.error.count("\n") == 1
