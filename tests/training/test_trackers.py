"""Where a training's numbers go besides metrics.jsonl: event files as TensorBoard reads them, stand-ins for others."""

import json
import math
import struct
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from frcnn.config import load_preset, override
from frcnn.errors import FrcnnError, UsageError
from frcnn.training.trackers import TRACKERS, Trackers, check_trackers

CONFIG = override(load_preset("tiny"), ["train.lr=0.375", "train.milestones=[0.25, 0.5]"])


def trackers(out: Path, *names: str, first_step: int = 0, resuming: bool = False, say: Any = pytest.fail) -> Trackers:
    return Trackers(out, names, CONFIG, first_step=first_step, resuming=resuming, say=say)


def step(number: int, total: float = 1.5) -> dict[str, Any]:
    return {"event": "step", "step": number, "total": total, "time": 1.7e9 + number}


class TestCheckTrackers:
    """What is asked for must be installed."""

    @pytest.mark.parametrize("name", TRACKERS)
    def test_what_is_not_installed_is_named_with_what_to_do(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(UsageError, match=rf"{name} is not installed: pip install 'frcnn\[{name}\]'"):
            check_trackers([name])

    def test_a_folder_of_that_name_is_no_package(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """W&B leaves one wherever it runs."""
        (tmp_path / "wandb").mkdir()
        monkeypatch.delitem(sys.modules, "wandb", raising=False)
        monkeypatch.setattr(sys, "path", [str(tmp_path)])
        with pytest.raises(UsageError, match="wandb is not installed"):
            check_trackers(["wandb"])

    def test_a_package_will_do(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "mlflow.py").write_text("raise AssertionError('not before the training begins')", encoding="utf-8")
        monkeypatch.delitem(sys.modules, "mlflow", raising=False)
        monkeypatch.syspath_prepend(tmp_path)
        check_trackers(["mlflow"])

    def test_the_installs_that_are_named_exist(self) -> None:
        project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
        assert set(TRACKERS) <= set(project["project"]["optional-dependencies"])

    def test_none_of_them_is_imported_before_it_is_needed(self) -> None:
        code = "import sys, frcnn.training.trackers; print({'tensorboardX', 'wandb', 'mlflow'} & set(sys.modules))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == "set()\n"


class TestTensorBoard:
    """Always written."""

    def test_every_number_has_its_tag_and_step(self, tmp_path: Path) -> None:
        with trackers(tmp_path) as opened:
            opened.write({"event": "start", "step": 0, "time": 1.7e9})
            opened.write(step(5, 2.25) | {"epoch": 3})
            opened.write(step(10, 0.125))
            opened.write(
                {"event": "evaluation", "step": 10, "voc07_map": 0.75, "losses": {"total": 0.5, "head": {"box": -4.0}}}
            )
        assert as_tensorboard_shows(tmp_path) == {
            "step/total": [(5, 2.25), (10, 0.125)],
            "step/epoch": [(5, 3.0)],
            "evaluation/voc07_map": [(10, 0.75)],
            "evaluation/losses/total": [(10, 0.5)],
            "evaluation/losses/head/box": [(10, -4.0)],
        }

    @pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, True, "0.5", [0.5], {}, {"total": None}])
    def test_what_is_no_finite_number_is_left_out(self, tmp_path: Path, value: Any) -> None:
        with trackers(tmp_path) as opened:
            opened.write({"event": "evaluation", "step": 7, "voc_map": value, "losses": {"total": value}, "zero": 0})
        assert as_tensorboard_shows(tmp_path) == {"evaluation/zero": [(7, 0.0)]}

    def test_a_line_without_numbers_is_no_event(self, tmp_path: Path) -> None:
        with trackers(tmp_path) as opened:
            opened.write({"event": "resume", "step": 4, "time": 1.7e9, "note": "text"})
        assert [event.WhichOneof("what") for event in events(tmp_path)] == ["file_version", "session_log"]

    def test_an_event_is_on_the_disk_as_soon_as_it_is_written(self, tmp_path: Path) -> None:
        with trackers(tmp_path) as opened:
            opened.write(step(5))
            assert as_tensorboard_shows(tmp_path) == {"step/total": [(5, 1.5)]}

    def test_a_resumed_training_takes_the_place_of_what_a_kill_left(self, tmp_path: Path) -> None:
        killed = trackers(tmp_path).__enter__()
        for number, total in ((5, 4.0), (20, 3.0), (21, 2.0), (25, 1.0)):
            killed.write(step(number, total))
        killed.write({"event": "evaluation", "step": 25, "voc_map": 0.5})
        with trackers(tmp_path, first_step=20, resuming=True) as resumed:
            resumed.write(step(22, 0.25))
        assert as_tensorboard_shows(tmp_path) == {"step/total": [(5, 4.0), (20, 3.0), (22, 0.25)]}
        killed.close()

    def test_a_second_resume_does_so_too(self, tmp_path: Path) -> None:
        for first_step, total in ((0, 4.0), (10, 3.0), (5, 2.0)):
            with trackers(tmp_path, first_step=first_step, resuming=first_step > 0) as opened:
                for number in (first_step + 5, first_step + 10):
                    opened.write(step(number, total))
        assert as_tensorboard_shows(tmp_path) == {"step/total": [(5, 4.0), (10, 2.0), (15, 2.0)]}

    def test_a_clock_that_was_set_back_hides_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for first_step, clock in ((0, 900), (5, 30), (10, 40)):
            monkeypatch.setattr("frcnn.training.trackers.time.time_ns", lambda now=clock: now)
            with trackers(tmp_path, first_step=first_step, resuming=first_step > 0) as opened:
                opened.write(step(first_step + 5))
        assert as_tensorboard_shows(tmp_path) == {"step/total": [(5, 1.5), (10, 1.5), (15, 1.5)]}

    def test_a_training_begun_anew_in_the_same_folder_shows_nothing_of_the_one_before(self, tmp_path: Path) -> None:
        for total in (4.0, 2.0):
            with trackers(tmp_path) as opened:
                opened.write(step(5 if total == 2 else 15, total))
        assert as_tensorboard_shows(tmp_path) == {"step/total": [(5, 2.0)]}

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
    def test_a_full_disk_is_told_once(self, tmp_path: Path) -> None:
        said: list[str] = []
        with trackers(tmp_path, say=said.append) as opened:
            opened.write(step(5))
            opened.opened["tensorboard"].file.close()
            opened.opened["tensorboard"].file = Path("/dev/full").open("wb")  # noqa: SIM115  (closed with the tracker)
            opened.write(step(10))
            opened.write(step(15))
        assert said == [
            "tensorboard fails and gets no more numbers; metrics.jsonl has them all "
            "([Errno 28] No space left on device)"
        ]
        assert as_tensorboard_shows(tmp_path) == {"step/total": [(5, 1.5)]}

    def test_a_file_in_its_way_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "tensorboard").touch()
        said: list[str] = []
        with trackers(tmp_path, say=said.append) as opened:
            opened.write(step(5))
        (line,) = said
        assert "tensorboard: cannot be made (File exists)" in line


class TestWeightsAndBiases:
    """By a stand-in that notes what it is asked."""

    def test_a_run_is_begun_written_and_finished(self, tmp_path: Path, wandb: "WandbStandIn") -> None:
        with trackers(tmp_path / "voc", "wandb") as opened:
            opened.write(step(5, 2.25) | {"lr": math.nan})
            opened.write({"event": "evaluation", "step": 5, "losses": {"total": 0.5}})
        (asked,) = wandb.asked
        assert asked | {"config": None} == {
            "project": "frcnn", "name": "voc", "dir": str(tmp_path / "voc"), "id": None, "resume": "allow",
            "config": None, "settings": {"console": "off"},
        }  # fmt: skip
        assert wandb.metrics == [("*", "step")]
        assert wandb.rows == [{"step": 5, "step/total": 2.25}, {"step": 5, "evaluation/losses/total": 0.5}]
        assert wandb.finished == [0]

    def test_the_settings_are_named_as_in_a_command(self, tmp_path: Path, wandb: "WandbStandIn") -> None:
        with trackers(tmp_path, "wandb"):
            pass
        settings = wandb.asked[0]["config"]
        assert (settings["preset"], settings["train.lr"]) == ("tiny", 0.375)
        assert settings["train.milestones"] == [0.25, 0.5]
        assert "train.steps" not in settings, "it has no value"
        assert override(load_preset("tiny"), [f"{key}={written(settings[key])}" for key in settings if "." in key]) == (
            CONFIG
        )

    def test_a_resumed_training_goes_on_in_its_run(self, tmp_path: Path, wandb: "WandbStandIn") -> None:
        for resuming in (False, True, True):
            with trackers(tmp_path, "wandb", first_step=20 * resuming, resuming=resuming):
                pass
        assert [asked["id"] for asked in wandb.asked] == [None, "run-1", "run-1"]

    def test_a_new_training_begins_a_new_run(self, tmp_path: Path, wandb: "WandbStandIn") -> None:
        for resuming in (False, False, True):
            with trackers(tmp_path, "wandb", resuming=resuming):
                pass
        assert [asked["id"] for asked in wandb.asked] == [None, None, "run-2"]

    def test_it_is_called_as_the_folder_wherever_that_is_seen_from(
        self, tmp_path: Path, wandb: "WandbStandIn", monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "voc").mkdir()
        monkeypatch.chdir(tmp_path / "voc")
        with trackers(Path(), "wandb"):
            pass
        assert wandb.asked[0]["name"] == "voc"

    def test_its_own_variable_names_another_project(
        self, tmp_path: Path, wandb: "WandbStandIn", monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WANDB_PROJECT", "streets")
        with trackers(tmp_path, "wandb"):
            pass
        assert wandb.asked[0]["project"] == "streets"

    def test_a_training_broken_off_is_marked(self, tmp_path: Path, wandb: "WandbStandIn") -> None:
        with pytest.raises(KeyboardInterrupt), trackers(tmp_path, "wandb"):
            raise KeyboardInterrupt
        assert wandb.finished == [1]


class TestMLflow:
    """By a stand-in that notes what it is asked."""

    def test_a_run_is_begun_written_and_finished(self, tmp_path: Path, mlflow: "MLflowStandIn") -> None:
        with trackers(tmp_path / "voc", "mlflow") as opened:
            opened.write(step(5, 2.25) | {"lr": None})
            opened.write({"event": "evaluation", "step": 10, "losses": {"total": 0.5}})
        assert mlflow.begun == [{"run_id": None, "run_name": "voc", "nested": True}]
        assert (mlflow.parameters[0]["train.lr"], mlflow.parameters[0]["preset"]) == (0.375, "tiny")
        assert mlflow.numbers == [({"step/total": 2.25}, 5, "run-1"), ({"evaluation/losses/total": 0.5}, 10, "run-1")]
        assert mlflow.ended == ["FINISHED"]

    def test_a_resumed_training_goes_on_in_its_run_whose_parameters_stay(
        self, tmp_path: Path, mlflow: "MLflowStandIn"
    ) -> None:
        for resuming in (False, True):
            with trackers(tmp_path, "mlflow", first_step=20 * resuming, resuming=resuming) as opened:
                opened.write(step(25))
        assert [begun["run_id"] for begun in mlflow.begun] == [None, "run-1"]
        assert [run_id for _, _, run_id in mlflow.numbers] == ["run-1", "run-1"]
        assert len(mlflow.parameters) == 1

    def test_asked_for_twice_it_is_one_run(self, tmp_path: Path, mlflow: "MLflowStandIn") -> None:
        with trackers(tmp_path, "mlflow", "mlflow"):
            pass
        assert len(mlflow.begun) == len(mlflow.ended) == 1

    def test_a_training_broken_off_is_marked(self, tmp_path: Path, mlflow: "MLflowStandIn") -> None:
        with pytest.raises(FrcnnError), trackers(tmp_path, "mlflow"):
            raise FrcnnError("the loss is not finite")
        assert mlflow.ended == ["FAILED"]


class TestRunIds:
    """tracking.json: by which a resumed training finds its runs again."""

    def test_both_are_kept_and_one_that_fails_is_not_forgotten(
        self, tmp_path: Path, wandb: "WandbStandIn", mlflow: "MLflowStandIn"
    ) -> None:
        wandb.runs = 4  # of other trainings
        with trackers(tmp_path, "mlflow", "wandb"):
            pass
        kept = json.loads((tmp_path / "tracking.json").read_text(encoding="utf-8"))
        assert kept == {"mlflow": "run-1", "wandb": "run-5"}
        mlflow.fails_at = "start_run"
        with trackers(tmp_path, "mlflow", "wandb", resuming=True, say=[].append):
            pass
        assert json.loads((tmp_path / "tracking.json").read_text(encoding="utf-8")) == kept

    def test_one_that_failed_at_the_start_begins_a_run_at_the_resume(
        self, tmp_path: Path, wandb: "WandbStandIn"
    ) -> None:
        wandb.fails_at = "init"
        with trackers(tmp_path, "wandb", say=[].append):
            pass
        assert not (tmp_path / "tracking.json").exists()
        wandb.fails_at = None
        with trackers(tmp_path, "wandb", resuming=True):
            pass
        assert [asked["id"] for asked in wandb.asked] == [None, None]
        assert json.loads((tmp_path / "tracking.json").read_text(encoding="utf-8")) == {"wandb": "run-1"}

    @pytest.mark.parametrize("text", ["", '{"wandb": ', "7", '["wandb"]', "\0"])
    def test_a_damaged_file_is_named(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "tracking.json").write_text(text, encoding="utf-8")
        with pytest.raises(FrcnnError, match=r"tracking\.json: cannot be read .*: remove it"):
            trackers(tmp_path, "wandb", resuming=True)

    def test_a_new_training_does_not_care(self, tmp_path: Path) -> None:
        (tmp_path / "tracking.json").write_text("{", encoding="utf-8")
        with trackers(tmp_path):
            pass


class TestFailure:
    """No tracker is worth a training."""

    def test_it_is_told_once_and_the_others_go_on(
        self, tmp_path: Path, wandb: "WandbStandIn", mlflow: "MLflowStandIn"
    ) -> None:
        said: list[str] = []
        with trackers(tmp_path, "wandb", "mlflow", say=said.append) as opened:
            opened.write(step(5))
            wandb.fails_at = "log"
            opened.write(step(10))
            wandb.fails_at = None
            opened.write(step(15))
        assert said == [
            "wandb fails and gets no more numbers; metrics.jsonl has them all (log: no route to the network)"
        ]
        assert [row["step"] for row in wandb.rows] == [5]
        assert [at for _, at, _ in mlflow.numbers] == [5, 10, 15]
        assert as_tensorboard_shows(tmp_path) == {"step/total": [(5, 1.5), (10, 1.5), (15, 1.5)]}

    def test_it_is_closed_all_the_same_and_told_no_second_time(self, tmp_path: Path, wandb: "WandbStandIn") -> None:
        said: list[str] = []
        for fails_at_the_end in (None, "finish"):
            with trackers(tmp_path, "wandb", say=said.append) as opened:
                wandb.fails_at = "log"
                opened.write(step(5))
                wandb.fails_at = fails_at_the_end
            wandb.fails_at = None
        assert len(said) == 2
        assert wandb.finished == [0]

    @pytest.mark.parametrize("place", ["init", "define_metric", "finish"])
    def test_it_may_fail_at_the_beginning_or_the_end(self, tmp_path: Path, wandb: "WandbStandIn", place: str) -> None:
        said: list[str] = []
        wandb.fails_at = place
        with trackers(tmp_path, "wandb", say=said.append) as opened:
            opened.write(step(5))
        (line,) = said
        assert f"({place}: no route to the network)" in line
        assert as_tensorboard_shows(tmp_path) == {"step/total": [(5, 1.5)]}

    def test_a_broken_install_is_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "wandb", None)
        said: list[str] = []
        with trackers(tmp_path, "wandb", say=said.append):
            pass
        assert len(said) == 1

    def test_an_error_without_words_is_told_by_its_kind(
        self, tmp_path: Path, mlflow: "MLflowStandIn", monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said: list[str] = []
        monkeypatch.setattr(mlflow, "log_metrics", raising(ConnectionError()))
        with trackers(tmp_path, "mlflow", say=said.append) as opened:
            opened.write(step(5))
        assert said[0].endswith("(ConnectionError)")

    def test_ctrl_c_while_it_is_written_ends_the_training(
        self, tmp_path: Path, wandb: "WandbStandIn", mlflow: "MLflowStandIn", monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(wandb, "log", raising(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt), trackers(tmp_path, "wandb", "mlflow") as opened:
            opened.write(step(5))
        assert (wandb.finished, mlflow.ended) == ([1], ["FAILED"])

    def test_ctrl_c_while_one_is_opened_closes_those_before(
        self, tmp_path: Path, wandb: "WandbStandIn", mlflow: "MLflowStandIn", monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(mlflow, "start_run", raising(KeyboardInterrupt()))
        opened = trackers(tmp_path, "wandb", "mlflow")
        with pytest.raises(KeyboardInterrupt), opened:
            pass
        assert (wandb.finished, opened.opened) == ([1], {})

    @pytest.mark.parametrize("names", [("wandb", "mlflow"), ("mlflow", "wandb")])
    def test_ctrl_c_while_one_is_closed_closes_the_others(
        self,
        tmp_path: Path,
        wandb: "WandbStandIn",
        mlflow: "MLflowStandIn",
        monkeypatch: pytest.MonkeyPatch,
        names: tuple[str, str],
    ) -> None:
        monkeypatch.setattr(wandb, "finish", raising(KeyboardInterrupt()))
        opened = trackers(tmp_path, *names)
        with pytest.raises(KeyboardInterrupt), opened:
            file = opened.opened["tensorboard"].file
        assert (mlflow.ended, file.closed) == (["FINISHED"], True)


class StandIn(ModuleType):
    """A package that is not installed, as far as it is used; it fails where it is told to."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None, origin="a test")
        self.fails_at: str | None = None
        self.runs = 0

    def reach(self, place: str) -> None:
        if place == self.fails_at:
            raise ConnectionError(f"{place}: no route to the network\nand a second line of it")

    def known_or_new(self, run_id: str | None) -> str:
        self.runs += run_id is None
        return run_id or f"run-{self.runs}"


class WandbStandIn(StandIn):
    """The package, and its one run."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.asked: list[dict] = []
        self.metrics: list[tuple[str, str]] = []
        self.rows: list[dict] = []
        self.finished: list[int] = []

    def init(self, **asked: Any) -> "WandbStandIn":
        self.asked.append(asked)
        self.reach("init")
        self.id = self.known_or_new(asked["id"])
        return self

    def define_metric(self, name: str, step_metric: str) -> None:
        self.reach("define_metric")
        self.metrics.append((name, step_metric))

    def log(self, row: dict) -> None:
        self.reach("log")
        self.rows.append(row)

    def finish(self, exit_code: int) -> None:
        self.reach("finish")
        self.finished.append(exit_code)


class MLflowStandIn(StandIn):
    """The package with its one active run."""

    def __init__(self) -> None:
        super().__init__("mlflow")
        self.begun: list[dict] = []
        self.parameters: list[dict] = []
        self.numbers: list[tuple[dict, int, str]] = []
        self.ended: list[str] = []

    def start_run(self, **begun: Any) -> SimpleNamespace:
        self.reach("start_run")
        self.begun.append(begun)
        return SimpleNamespace(info=SimpleNamespace(run_id=self.known_or_new(begun["run_id"])))

    def log_params(self, parameters: dict) -> None:
        self.parameters.append(parameters)

    def log_metrics(self, metrics: dict, step: int, run_id: str) -> None:
        self.numbers.append((metrics, step, run_id))

    def end_run(self, status: str) -> None:
        self.ended.append(status)


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> WandbStandIn:
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    package = WandbStandIn()
    monkeypatch.setitem(sys.modules, "wandb", package)
    return package


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> MLflowStandIn:
    package = MLflowStandIn()
    monkeypatch.setitem(sys.modules, "mlflow", package)
    return package


def raising(error: BaseException) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def written(value: Any) -> str:
    """As TOML has it, and `--set` takes it."""
    return json.dumps(value)


def as_tensorboard_shows(out: Path) -> dict[str, list[tuple[int, float]]]:
    """Its rule: a session's start, except for the first, makes it forget that step and the later ones."""
    shown: list[tuple[str, int, float]] = []
    starts = 0
    for event in events(out):
        if event.HasField("session_log"):
            assert event.session_log.status == event.session_log.START
            starts += 1
            shown = [point for point in shown if starts == 1 or point[1] < event.step]
        shown += [(value.tag, event.step, value.simple_value) for value in event.summary.value]
    return {tag: [(at, value) for name, at, value in shown if name == tag] for tag, *_ in shown}


def events(out: Path) -> Iterator[Any]:
    """Of all the event files, which are read in the order of their names; each says first of what form it is."""
    from tensorboardX.proto.event_pb2 import Event

    for path in sorted((out / "tensorboard").glob("*tfevents*")):
        of_file = [Event.FromString(data) for data in records(path.read_bytes())]
        assert [event.file_version for event in of_file if event.HasField("file_version")] == ["brain.Event:2"]
        assert of_file[0].HasField("file_version")
        yield from of_file


def records(text: bytes) -> Iterator[bytes]:
    """The length, its checksum, the data, its checksum."""
    while text:
        (length,) = struct.unpack("<Q", text[:8])
        data, rest = text[12 : 12 + length], text[12 + length :]
        assert struct.unpack("<I", text[8:12]) == (checksum(text[:8]),)
        assert struct.unpack("<I", rest[:4]) == (checksum(data),)
        yield data
        text = rest[4:]


def checksum(data: bytes) -> int:
    """CRC-32C bit by bit, turned and shifted as event files want it."""
    remainder = 0xFFFFFFFF
    for byte in data:
        remainder ^= byte
        for _ in range(8):
            remainder = (remainder >> 1) ^ (0x82F63B78 * (remainder & 1))
    remainder ^= 0xFFFFFFFF
    return ((remainder >> 15 | remainder << 17) + 0xA282EAD8) & 0xFFFFFFFF
