"""What does not belong together is refused in words: compiled code would read the memory beside it.

In a process without the hook that checks shapes in the tests, since users do not have it.
"""

import json
import subprocess
import sys

import pytest

CASES = {
    "more boxes than scores": ("nms(boxes(6), torch.rand(5), .5)", "scores must be (6,)"),
    "more scores than boxes": ("nms(boxes(5), torch.rand(5000), .5)", "scores must be (5,)"),
    "fewer groups": ("batched_nms(boxes(5), torch.rand(5), torch.zeros(3).long(), .5)", "groups must be (5,)"),
    "five columns": ("nms(torch.rand(5, 5), torch.rand(5), .5)", "boxes must be (R, 4), not (5, 5)"),
    "one dimension": ("nms(torch.rand(20), torch.rand(20), .5)", "boxes must be (R, 4), not (20,)"),
    "less than none wanted": ("nms(boxes(5), torch.rand(5), .5, -1)", "max_keep must be at least 0, not -1"),
    "objects of three sides": ("match_boxes(torch.rand(2, 3), boxes(5), **rule)", "boxes must be (R, 4), not (2, 3)"),
    "candidates of five": ("match_boxes(boxes(2), torch.rand(5, 5), **rule)", "boxes must be (R, 4), not (5, 5)"),
    "align by three sides": ("roi_align(f, [torch.rand(5, 3)], 2, 1.)", "boxes must be (R, 4), not (5, 3)"),
    "pool by three sides": ("roi_pool(f, [torch.rand(5, 3)], 2, 1.)", "boxes must be (R, 4), not (5, 3)"),
    "no picture": ("roi_pool(f[0], [boxes(5)], 2, 1.)", "features must be (N, C, H, W)"),
    "a map without width": ("roi_align(f[..., :0], [boxes(5)], 2, 1.)", "features must be (N, C, H, W) with H and W"),
    "two pictures of boxes": ("roi_align(f, [boxes(5)] * 2, 2, 1.)", "1 pictures of features but 2 tensors of boxes"),
    "too many levels": ("pyramid([f], [boxes(5)], [torch.zeros(50000).long()], 2, [1.])", "each box must have a level"),
    "too few levels": ("pyramid([f], [boxes(5)], [torch.zeros(2).long()], 2, [1.])", "each box must have a level"),
    "a level above": ("pyramid([f], [boxes(5)], [torch.ones(5).long()], 2, [1.])", "levels must be 0 to 0"),
    "other channels": (
        "pyramid([f, torch.rand(1, 800, 5, 5)], [boxes(5)], [torch.ones(5).long()], 2, [1., 2.])",
        "the same pictures and channels",
    ),
}
SCRIPT = """
import json, sys, torch
from frcnn.ops import batched_nms, nms, roi_align, roi_pool
from frcnn.ops.matching import match_boxes
from frcnn.ops.roi_align import pyramid_roi_align as pyramid
f, rule = torch.rand(1, 8, 20, 20), dict(positive_above=.7, negative_below=.3, rescue=True)
def boxes(count):
    corner = torch.rand(count, 2)
    return torch.cat((corner, corner + 5), dim=1)
said = []
for case in json.load(sys.stdin):
    try:
        said.append(f"accepted: {eval(case)}")
    except ValueError as error:
        said.append(str(error))
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """What each case is answered, all in one process."""
    asked = json.dumps([case for case, _ in CASES.values()])
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT]
    done = subprocess.run(command, input=asked, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(zip(CASES, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_refused_in_words(said, name):
    assert CASES[name][1] in said[name]
