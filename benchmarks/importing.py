"""How long `import frcnn` takes, beside torch and torchvision alone: medians of processes by turns, a line of JSON.

python benchmarks/importing.py [runs]
"""

import json
import subprocess
import sys

from frcnn.benchmarking.timing import by_turns

IMPORTS = {
    "frcnn": "import frcnn",
    "everything of frcnn": "from frcnn import Detector, benchmark, build, evaluate, ops, train, weights",
    "torch and torchvision": "import torch, torchvision",
}


def main(runs: int = 5) -> None:
    """Each import in a process of its own."""
    works = {name: (lambda code=code: in_a_process(code)) for name, code in IMPORTS.items()}
    seconds = by_turns(works, runs)
    peer = seconds["torch and torchvision"]
    ratios = {name: round(taken / peer, 3) for name, taken in seconds.items()}
    print(json.dumps({"seconds": {name: round(taken, 3) for name, taken in seconds.items()}, "ratios": ratios}))


def in_a_process(code: str) -> None:
    """Run it, and wait."""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
