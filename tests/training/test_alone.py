"""One training a folder: the second is refused, and what holds the folder lets go of it however it ends."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from frcnn.errors import FrcnnError, UsageError
from frcnn.training.alone import alone_in, is_taken

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="has no such locks")

HOLD = """
import sys
from pathlib import Path
from frcnn.training.alone import alone_in
with alone_in(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other() -> Iterator[Callable[[Path], subprocess.Popen[str]]]:
    """Another process that holds a folder until its standard input ends."""
    begun: list[subprocess.Popen[str]] = []

    def hold(folder: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLD, str(folder)]
        begun.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        assert begun[-1].stdout is not None
        assert begun[-1].stdout.readline() == "held\n"
        return begun[-1]

    yield hold
    for process in begun:
        process.communicate(timeout=60)


@pytest.mark.parametrize("how", ["in peace", "killed"])
def test_a_folder_is_another_s_until_that_one_ends(tmp_path, other, how) -> None:
    process = other(tmp_path)
    assert is_taken(tmp_path)
    with pytest.raises(UsageError, match=r"another training is under way there"), alone_in(tmp_path):
        pytest.fail("it is not alone")
    if how == "killed":
        process.kill()
    process.communicate(timeout=60)
    assert not is_taken(tmp_path)
    with alone_in(tmp_path):
        pass


def test_forks_of_the_one_that_held_it_hold_nothing(tmp_path) -> None:
    """The processes that load pictures outlive a killed training by some seconds: it may be gone on with at once."""
    reader, writer = os.pipe()
    with alone_in(tmp_path):
        child = os.fork()
        if child == 0:
            os.close(writer)
            os.read(reader, 1)  # until the parent lets it go
            os._exit(0)
    done = subprocess.run([sys.executable, "-c", HOLD, str(tmp_path)], input="", capture_output=True, text=True)
    os.close(writer)
    os.close(reader)
    os.waitpid(child, 0)
    assert (done.stdout, done.returncode) == ("held\n", 0)


def test_a_folder_that_is_not_there_is_nobody_s(tmp_path) -> None:
    assert not is_taken(tmp_path / "absent")
    with pytest.raises(FrcnnError, match=r"absent/\.lock: cannot be written"), alone_in(tmp_path / "absent"):
        pytest.fail("there is no such folder")
    assert not (tmp_path / "absent").exists()
