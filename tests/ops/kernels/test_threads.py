import multiprocessing
import subprocess
import sys
import threading

import pytest
import torch

from frcnn.ops.kernels.threads import in_parts


@pytest.fixture
def threads():
    """As many as torch may use, for this once."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 100])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_every_row_is_done_once(threads, count, number):
    threads(number)
    done: list[int] = []
    in_parts(lambda begin, end: done.extend(range(begin, end)), count)
    assert sorted(done) == list(range(count))


def test_few_rows_stay_in_one_thread(threads):
    threads(4)
    names: list[str] = []
    in_parts(lambda *_: names.append(threading.current_thread().name), 15, least=8)
    assert names == [threading.current_thread().name]


def test_what_goes_wrong_in_another_thread_is_raised(threads):
    threads(2)

    def work(begin: int, end: int) -> None:
        if begin:
            raise ValueError("the second half")

    with pytest.raises(ValueError, match="the second half"):
        in_parts(work, 10)


def test_a_forked_child_begins_threads_of_its_own(threads):
    """A child of a process with a pool has none of its threads: waiting for them would take for ever."""
    threads(2)
    in_parts(lambda *_: None, 10)
    child = multiprocessing.get_context("fork").Process(target=in_parts, args=(_nothing, 10))
    child.start()
    child.join(timeout=20)
    assert child.exitcode == 0


def _nothing(begin: int, end: int) -> None:
    """Rows that need no work."""


AFTER_THE_MAIN_THREAD = """
import threading, time, torch
from frcnn.ops import roi_align
torch.set_num_threads(2)
features, corner = torch.randn(1, 64, 40, 40), torch.rand(400, 2) * 300
boxes = torch.cat((corner, corner + 50), dim=1)
expected = roi_align(features, [boxes], 7, 16.0)
def later():
    threading.main_thread().join()
    print(torch.equal(roi_align(features, [boxes], 7, 16.0), expected))
threading.Thread(target=later).start()
"""


def test_a_thread_that_outlives_the_main_one_may_call_kernels():
    """No pool takes work any more then: the caller does it all."""
    command = [sys.executable, "-W", "ignore", "-c", AFTER_THE_MAIN_THREAD]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == ("True", 0), done.stderr
