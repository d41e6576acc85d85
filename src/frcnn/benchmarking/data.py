"""How fast pictures come from the disk: our loader beside the one that torchvision's users write."""

import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as Map
from torchvision.transforms.functional import to_tensor

from frcnn.benchmarking.rows import Measurement, Row, Setting
from frcnn.benchmarking.timing import by_turns
from frcnn.config import load_preset
from frcnn.data.dataset import Dataset, load_dataset
from frcnn.data.loading import batches
from frcnn.data.sample import write_sample

PICTURES, PASSES = 60, 8  # drawn, and how often each is loaded: so that starting the workers counts for little
BATCH = 2
SEED = 0


def data_measurements(setting: Setting) -> Iterator[Measurement]:
    """One."""
    count = PICTURES * PASSES
    name = f"loading {count} JPEG pictures with {workers()} workers"
    yield Measurement(name, lambda: [loading_row(name, setting)])


def loading_row(work: str, setting: Setting, pictures: int = PICTURES, passes: int = PASSES) -> Row:
    """Both read the same files, in batches, with as many workers, and hand over floats in [0, 1]."""
    with tempfile.TemporaryDirectory() as folder:
        write_sample(Path(folder) / "sample", pictures, SEED)
        drawn = [load_dataset([Path(folder) / "sample"], split).examples for split in ("train", "val", "test")]
        examples = tuple(example for split in drawn for example in split) * passes
        dataset = Dataset(examples, load_dataset([Path(folder) / "sample"], "train").class_names)
        paths = [example.picture for example in examples]
        works = {"frcnn": lambda: our_pictures(dataset), "torchvision": lambda: their_pictures(paths)}
        same = _said(our_pictures(dataset), their_pictures(paths))
        times = by_turns(works, setting.runs)
    peers = {"torchvision's transforms in a DataLoader": times["torchvision"]}
    return Row("data", work, times["frcnn"], peers, pictures=len(examples), notes=(same,))


def our_pictures(dataset: Dataset) -> float:
    """One epoch, unflipped; the sum of all pixels' means."""
    loading = batches(
        dataset,
        BATCH,
        seed=SEED,
        epoch=0,
        flip=0.0,
        group_by_aspect=True,
        workers=workers(),
        ignore_regions=False,
    )
    return sum(float(image.mean()) for batch in loading for image in batch.images)


def their_pictures(paths: Sequence[Path]) -> float:
    """One epoch; the sum of all pixels' means."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fork beside threads: ours does the same
        loader = DataLoader(
            _Pictures(paths),
            BATCH,
            shuffle=True,
            num_workers=workers(),
            collate_fn=list,
            multiprocessing_context="fork" if sys.platform == "linux" else None,  # as ours: it starts at once
            generator=torch.Generator().manual_seed(SEED),
        )
        return sum(float(image.mean()) for batch in loader for image in batch)


class _Pictures(Map[Tensor]):
    """As torchvision's reference scripts read a picture."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> Tensor:
        with Image.open(self.paths[number]) as image:
            return to_tensor(image.convert("RGB"))


def workers() -> int:
    """As many as training has."""
    return load_preset("tiny").data.workers


def _said(ours: float, theirs: float) -> str:
    same = abs(ours - theirs) <= 1e-4 * abs(theirs)  # sums of floats in another order
    return "the same pictures" if same else f"NOT the same pictures: their means add up to {ours:.6g} and {theirs:.6g}"
