"""A training killed at any moment and resumed ends with the same bytes: a few kills; the study makes many more."""

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from scripts import FOLDER, load_script


@pytest.fixture(scope="module")
def study() -> ModuleType:
    return load_script("kills")


def killed(*words: str) -> tuple[list[dict], dict]:
    """The lines of the study and its summary. A process of its own: these tests have threads, and forks want none."""
    done = subprocess.run([sys.executable, FOLDER / "kills.py", *words], capture_output=True, text=True)
    *lines, summary = [json.loads(line) for line in done.stdout.splitlines()] or [{}]
    assert done.returncode == 0, done.stdout + done.stderr
    return lines, summary


@pytest.mark.slow
def test_killed_in_joint_training() -> None:
    lines, summary = killed("--kills", "3", "--seed", "5")
    assert [line["aim"] for line in lines] == ["moment", "checkpoint write", "evaluation"]
    assert all(line["hits"] and line["starts"] > len(line["hits"]) for line in lines)
    assert summary["result"] == "3 of 3 equal"


@pytest.mark.slow
def test_killed_in_each_step_of_alternating_training() -> None:
    lines, summary = killed("--kills", "4", "--schedule", "alternating", "--seed", "5")
    assert [line["hits"][0]["stage"] for line in lines] == [1, 2, 3, 4]
    assert summary["result"] == "4 of 4 equal"


class TestJudgement:
    """A study that finds no difference must be able to find one."""

    def folder(self, path: Path, model: bytes = b"weights", loss: float = 0.5) -> Path:
        path.mkdir()
        (path / "last.safetensors").write_bytes(model)
        line = {"event": "step", "step": 1, "stage": 1, "total": loss, "time": 1.0, "images_per_second": 2.0}
        (path / "metrics.jsonl").write_text(json.dumps(line) + "\n")
        return path

    def test_equal_but_for_the_clock(self, study, tmp_path) -> None:
        reference = study.Reference(self.folder(tmp_path / "whole"), 1.0, 0.5)
        out = self.folder(tmp_path / "parts")
        log = out / "metrics.jsonl"
        log.write_text('{"event": "resume", "step": 0}\n' + log.read_text().replace('"time": 1.0', '"time": 9.0'))
        assert study.differences(reference, out) == []

    def test_a_model_a_log_and_a_torn_file(self, study, tmp_path) -> None:
        reference = study.Reference(self.folder(tmp_path / "whole"), 1.0, 0.5)
        out = self.folder(tmp_path / "parts", model=b"weightS", loss=0.25)
        (out / ".last.safetensors.x1.part").touch()
        found = study.differences(reference, out)
        assert found == ["last.safetensors", "metrics.jsonl", ".last.safetensors.x1.part"]
        (out / "last.safetensors").unlink()
        assert study.differences(reference, out)[0] == "last.safetensors"

    def test_where_a_kill_has_hit(self, study, tmp_path) -> None:
        reference = study.Reference(self.folder(tmp_path / "whole"), 1.0, 0.5)
        out = self.folder(tmp_path / "parts")
        (out / "proposals").mkdir()
        assert study.where(out, reference, set()) == {"at": "step", "step": 1, "stage": 1}
        (out / "proposals" / ".step1.npy.y2.part").touch()
        assert study.where(out, reference, set())["at"] == "proposals"
        assert study.where(out, reference, {".step1.npy.y2.part"})["at"] == "step"
