"""Where compiled kernels are kept, in processes of their own."""

import os
import subprocess
import sys

SUPPRESS = """
import torch
from frcnn.ops import nms
boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10]])
print(nms(boxes, torch.tensor([0.5, 0.9, 0.7]), 0.5).tolist())
"""
NOWHERE_TO_WRITE = """
from numba.core import caching
caching.CacheImpl._locator_classes = []
"""


def run(code, tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_what_was_compiled_stays_on_the_disk(tmp_path):
    assert run(SUPPRESS, tmp_path) == "[1, 2]"
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb*")}
    assert kept
    assert run(SUPPRESS, tmp_path) == "[1, 2]"
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb*")} == kept


def test_where_nothing_may_be_written_it_runs_all_the_same(tmp_path):
    assert run(NOWHERE_TO_WRITE + SUPPRESS, tmp_path) == "[1, 2]"
    assert not list(tmp_path.iterdir())
