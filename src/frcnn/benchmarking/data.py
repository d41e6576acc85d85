"""How fast pictures come from the disk, and how fast to the network: ours beside torchvision's."""

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
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.transforms import v2
from torchvision.transforms.functional import to_tensor

from frcnn.benchmarking.rows import Measurement, Row, Setting
from frcnn.benchmarking.timing import by_turns
from frcnn.config import load_preset
from frcnn.data.dataset import Dataset, load_dataset
from frcnn.data.examples import Example
from frcnn.data.loading import batches
from frcnn.data.pictures import read_picture
from frcnn.data.sample import write_sample
from frcnn.model.preprocess import preprocess
from frcnn.structures import Target

PICTURES, PASSES = 60, 8  # drawn, and how often each is loaded: so that starting the workers counts for little
BATCH = 2
SEED = 0
PHOTO = (500, 375)  # width and height of most of VOC's
SHORT_SIDE, LONG_SIDE = 600, 1000  # the paper's


def data_measurements(setting: Setting) -> Iterator[Measurement]:
    """One."""
    count = PICTURES * PASSES
    name = f"loading {count} JPEG pictures with {workers()} workers"
    yield Measurement(name, lambda: [loading_row(name, setting)])
    width, height = PHOTO
    ready = f"{count} JPEG pictures of {height}x{width}, ready for the network at short side {SHORT_SIDE}"
    yield Measurement(ready, lambda: [ready_row(ready, setting)])


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


def ready_row(work: str, setting: Setting, pictures: int = PICTURES, passes: int = PASSES) -> Row:
    """Loaded, flipped at random, resized, normalised and put into batches, each as in its own training."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = photos(Path(folder), pictures, passes)
        works = {"frcnn": lambda: our_batches(dataset), "torchvision": lambda: their_batches(dataset)}
        same = _said(our_batches(dataset), their_batches(dataset))
        times = by_turns(works, setting.runs)
    peers = {"torchvision's reference": times["torchvision"]}
    return Row("data", work, times["frcnn"], peers, pictures=len(dataset), notes=(same,))


def photos(folder: Path, pictures: int, passes: int) -> Dataset:
    """The sample's pictures at the size of photos, each several times."""
    write_sample(folder / "sample", pictures, SEED)
    drawn = [load_dataset([folder / "sample"], split).examples for split in ("train", "val", "test")]
    examples = []
    for example in (example for split in drawn for example in split):
        path = folder / f"{example.picture.stem}.jpg"
        read_picture(example.picture).resize(PHOTO).save(path, quality=90)
        nothing = Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
        examples.append(Example(path, path, (PHOTO[1], PHOTO[0]), nothing))
    return Dataset(tuple(examples) * passes, ())


def our_batches(dataset: Dataset) -> float:
    """One epoch; the sum of all pictures' means as the network sees them, which flips do not change."""
    loading = batches(
        dataset,
        BATCH,
        seed=SEED,
        epoch=0,
        flip=0.5,
        group_by_aspect=True,
        workers=workers(),
        ignore_regions=False,
    )
    rule = load_preset("resnet50_fpn").model.input.model_copy(update={"short_side": SHORT_SIDE, "long_side": LONG_SIDE})
    return sum(len(b.pictures) * float(preprocess(b.images, rule).pixels.mean()) for b in loading)


def their_batches(dataset: Dataset) -> float:
    """One epoch, as torchvision's reference script for detection has it."""
    loading = _their_loader(_FlippedPictures([dataset.picture(number) for number in range(len(dataset))]))
    rule = load_preset("resnet50_fpn").model.input
    resize = GeneralizedRCNNTransform(SHORT_SIDE, LONG_SIDE, list(rule.mean), list(rule.std))
    return sum(len(batch) * float(resize(batch)[0].tensors.mean()) for batch in loading)


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
    return sum(float(image.mean()) for batch in _their_loader(_Pictures(paths)) for image in batch)


def _their_loader(pictures: Map[Tensor]) -> Iterator[list[Tensor]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fork beside threads: ours does the same
        yield from DataLoader(
            pictures,
            BATCH,
            shuffle=True,
            num_workers=workers(),
            collate_fn=list,
            multiprocessing_context="fork" if sys.platform == "linux" else None,  # as ours: it starts at once
            generator=torch.Generator().manual_seed(SEED),
        )


class _Pictures(Map[Tensor]):
    """As torchvision's reference scripts read a picture."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> Tensor:
        with Image.open(self.paths[number]) as image:
            return to_tensor(image.convert("RGB"))


class _FlippedPictures(_Pictures):
    """As torchvision's reference script for detection reads a picture, without its boxes."""

    transform = v2.Compose([v2.RandomHorizontalFlip(0.5), v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)])

    def __getitem__(self, number: int) -> Tensor:
        with Image.open(self.paths[number]) as image:
            return self.transform(image.convert("RGB"))


def workers() -> int:
    """As many as training has."""
    return load_preset("tiny").data.workers


def _said(ours: float, theirs: float) -> str:
    same = abs(ours - theirs) <= 1e-4 * abs(theirs)  # sums of floats in another order
    return "the same pictures" if same else f"NOT the same pictures: their means add up to {ours:.6g} and {theirs:.6g}"
