import json
import shlex
from typing import get_args

import pytest
from localhost import serving
from small_archives import SERVED, SMALL, TERMS

from frcnn import fetching
from frcnn.cli.data import DataSetName
from frcnn.config import load_preset
from frcnn.data.archives import PUBLISHED
from frcnn.data.dataset import load_dataset
from frcnn.training.settings import settle


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


def test_the_names_of_the_command_are_those_of_the_table():
    assert get_args(DataSetName) == tuple(PUBLISHED)


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
