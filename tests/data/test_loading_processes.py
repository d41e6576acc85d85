"""The processes that load pictures: whatever ends them, or the one that waits for them, ends as it should."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from torch.utils.data import Dataset

from frcnn.data.loading_processes import in_processes
from frcnn.errors import LoadingError, Terminated
from frcnn.interrupts import termination_raised

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere these processes are no forks")


class Doing(Dataset[object]):
    """What a loading process does with the order that it gets."""

    def __init__(self, what: Callable[[object], object]) -> None:
        self.what = what

    def __getitem__(self, order: object) -> object:
        return self.what(order)


def die(_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_is_loaded_comes_in_order() -> None:
    assert list(in_processes(Doing(lambda order: 2 * order), iter([3, 1, 2]), 2)) == [6, 2, 4]


def test_a_process_that_is_killed_is_one_error_of_ours() -> None:
    with pytest.raises(LoadingError, match=r"was killed, .* lower data\.workers"):
        next(in_processes(Doing(die), iter([1]), 1))


def test_it_is_told_when_pictures_are_waited_for_and_never_before() -> None:
    """torch raises it wherever the main thread is: within a step, or while a file is written."""
    loading = in_processes(Doing(lambda order: order), iter(range(100)), 1)
    assert next(loading) == 0
    (process,) = multiprocessing.active_children()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    time.sleep(0.05)  # here it would be raised
    with pytest.raises(LoadingError):
        list(loading)


def test_another_error_stays_what_it_is() -> None:
    def orders():
        raise RuntimeError("of the plan")
        yield

    with pytest.raises(RuntimeError, match="of the plan"):
        next(in_processes(Doing(die), orders(), 0))


def test_who_ends_all_processes_ends_this_one_in_its_own_way() -> None:
    """As slurm does: the loading process may be the first to go, and is not what this one dies of."""

    def end_both(_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL) if os.fork() else end_parent()

    parent = os.getpid()

    def end_parent() -> None:
        time.sleep(0.05)
        os.kill(parent, signal.SIGTERM)
        os._exit(0)

    with termination_raised(), pytest.raises(Terminated):
        next(in_processes(Doing(end_both), iter([1]), 1))


@pytest.mark.slow
def test_ctrl_c_while_processes_start_or_end_is_never_lost(tmp_path: Path) -> None:
    """For the whole group, as a terminal sends it, at many moments of many starts: always one KeyboardInterrupt."""
    script = tmp_path / "start.py"
    script.write_text(STARTING)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, start_new_session=True, timeout=100)
    assert (done.stdout, done.stderr, done.returncode) == ("interrupted " * 25 + "\n", "", 0)


STARTING = """
import os, signal, threading, time
from torch.utils.data import Dataset
from frcnn.data.loading_processes import in_processes

signal.signal(signal.SIGINT, signal.default_int_handler)

class Same(Dataset):
    def __getitem__(self, order):
        return order

def press(delay):
    time.sleep(delay)
    os.killpg(0, signal.SIGINT)

for number in range(25):
    pressing = threading.Thread(target=press, args=(number * 0.003,))
    try:
        pressing.start()
        for _ in range(20):
            list(in_processes(Same(), iter(range(3)), 2))
        print("lost", end=" ")
    except KeyboardInterrupt:
        print("interrupted", end=" ")
    pressing.join()
print()
"""
