"""Set-up on a machine that lacks what it needs: said in one line, nothing begun."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(folder: Path, *arguments: str, path: Path) -> subprocess.CompletedProcess[str]:
    """make, in a copy of the project, where only what lies in `path` can be found."""
    shutil.copy(ROOT / "Makefile", folder)
    shutil.copy(ROOT / "pyproject.toml", folder)
    for tool in ("make", "bash", "touch"):
        found = shutil.which(tool)
        assert found is not None
        (path / tool).symlink_to(found)
    environment = {"PATH": str(path)}
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


def pretend_python(path: Path, name: str, status: int) -> None:
    """An interpreter that answers every question with `status`, and notes what it was asked to make."""
    (path / name).write_text(f'#!{sys.executable}\nimport sys\nprint("made by {name}")\nsys.exit({status})\n')
    (path / name).chmod(0o755)


def test_no_python_that_is_new_enough(tmp_path, path):
    pretend_python(path, "python3", status=1)
    done = make(tmp_path, "environment", path=path)
    assert done.returncode != 0
    assert "no Python 3.11 or newer with venv found" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_the_first_python_that_will_do_makes_the_environment(tmp_path, path):
    pretend_python(path, "python3", status=1)
    pretend_python(path, "python3.12", status=0)
    done = make(tmp_path, "environment", path=path)
    assert done.returncode == 0
    assert "made by python3.12" in done.stdout


def test_a_python_can_be_named(tmp_path, path):
    pretend_python(path, "python3", status=0)
    pretend_python(path, "mine", status=0)
    done = make(tmp_path, "environment", f"PYTHON={path / 'mine'}", path=path)
    assert "made by mine" in done.stdout


def test_help_names_every_target(tmp_path, path):
    done = make(tmp_path, "help", path=path)
    for target in ("demo", "test", "fast", "lint", "install", "clean"):
        assert f"make {target}" in done.stdout


def test_continuous_integration_runs_from_anywhere_and_gives_the_status(tmp_path, path):
    """`.ci/run`, with a `make` that says where it is and which data it was given."""
    checkout = tmp_path / "checkout"
    (checkout / ".ci").mkdir(parents=True)
    (tmp_path / "shared").mkdir()
    shutil.copy(ROOT / ".ci" / "run", checkout / ".ci")
    (path / "make").write_text('#!/bin/bash\necho "$PWD $FRCNN_SHARED $*"\nexit 7\n')
    (path / "make").chmod(0o755)
    environment = {"PATH": f"{path}:/usr/bin:/bin"}
    done = subprocess.run(
        [checkout / ".ci" / "run"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 7
    assert done.stdout.split() == [str(checkout), str(tmp_path / "shared"), "test"]
