import json

import pytest
import torch

from frcnn.benchmarking import memory
from frcnn.benchmarking.memory import MEGABYTE, Memory, main, measured_apart, memory_rows, peak
from frcnn.benchmarking.rows import Setting
from frcnn.benchmarking.training import Case
from frcnn.errors import FrcnnError

CPU = torch.device("cpu")
SMALL = Case("mobilenet_v3_large_fpn", pictures=1, short_side=64, size=(90, 120), long_side=120)


def test_the_peak_is_the_processs_own_high_water_mark(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "STATUS", tmp_path / "status")
    (tmp_path / "status").write_text("VmPeak:\t  900 kB\nVmHWM:\t  512 kB\nVmRSS:\t  100 kB\n")
    assert peak(CPU) == 512 * 1024


def test_elsewhere_than_on_linux_it_is_what_the_system_counts(monkeypatch, tmp_path):
    known = peak(CPU)
    monkeypatch.setattr(memory, "STATUS", tmp_path / "absent")
    assert peak(CPU) >= known * 0.9


def test_the_module_says_what_steps_took(monkeypatch, capsys):
    monkeypatch.setattr(memory, "CASES", (SMALL,))
    main([SMALL.preset, "frcnn", "float32", "cpu"])
    taken = Memory(**json.loads(capsys.readouterr().out))
    assert 0 < taken.before <= taken.peak <= peak(CPU) / MEGABYTE + 1


def test_a_row_compares_two_processes(monkeypatch):
    of = {"frcnn": Memory(500.0, 1000.0), "torchvision": Memory(500.0, 1500.0)}
    monkeypatch.setattr(memory, "measured_apart", lambda preset, side, precision, device: of[side])
    (row,) = memory_rows("step", "resnet50_fpn", "float32", Setting())
    assert (row.frcnn, row.peers, row.unit) == (1000, {"torchvision": 1500}, "MB")
    assert row.notes == ("torchvision takes +500 MB", "of which before the first step 500 MB, in torchvision 500 MB")


def test_a_process_that_fails_is_one_line():
    with pytest.raises(FrcnnError, match="measures the memory of frcnn zf float32 failed"):
        measured_apart("zf", "frcnn", "float32", CPU)


@pytest.mark.slow
def test_a_process_of_its_own_knows_nothing_of_this_ones_peak():
    held = torch.ones(int(4e9 / 4))
    del held
    taken = measured_apart("mobilenet_v3_large_fpn", "frcnn", "bfloat16", CPU)
    assert 300 < taken.before < taken.peak < 3500
