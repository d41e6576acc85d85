"""Mending in one call, and what came of it."""

import csv
import hashlib
from pathlib import Path

from frcnn.data.checking.check import examine_paths
from frcnn.data.checking.mend import Mended, mend_dataset
from frcnn.data.dataset import load_dataset


def mend(root: Path, target: Path) -> Mended:
    return mend_dataset(*examine_paths([root]), target)


def contents(folder: Path) -> dict[str, str]:
    """A digest of each file."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def boxes(root: Path, split: str, name: str) -> list[list[float]]:
    """As training reads them."""
    examples = load_dataset([root], split).examples
    return next(example for example in examples if example.picture.stem == name).target.boxes.tolist()


def log(folder: Path) -> list[dict[str, str]]:
    with (folder / "mended.csv").open(newline="") as file:
        return [*csv.DictReader(file)]
