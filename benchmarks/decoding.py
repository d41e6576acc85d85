"""How fast large photos are loaded for training, decoded whole and reduced while they are decoded: a line of JSON.

python benchmarks/decoding.py [pictures]
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter, ImageOps

from frcnn.config import InputConfig
from frcnn.data.dataset import Dataset, Example
from frcnn.data.loading import batches
from frcnn.model.preprocess import preprocess
from frcnn.structures import Target

HEIGHT, WIDTH = 3024, 4032  # twelve megapixels, as phones take them
RULE = InputConfig(  # of the presets for a short side of 320
    short_side=320, long_side=640, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), padding="exact"
)


def main(pictures: int = 6) -> None:
    """Make the pictures, then load them both ways, in this process: what one loading process does."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = photos(Path(folder), pictures)
        whole, reduced = speeds(dataset, (None, RULE))
    line = {"pictures": pictures, "size": [HEIGHT, WIDTH], "short_side": RULE.short_side}
    line |= {"whole_pictures_per_second": round(whole, 2), "reduced_pictures_per_second": round(reduced, 2)}
    print(json.dumps(line | {"ratio": round(reduced / whole, 2), "threads": torch.get_num_threads()}), flush=True)


def photos(folder: Path, count: int) -> Dataset:
    """A data set of JPEGs with an object each."""
    target = Target(torch.tensor([[400.0, 300.0, 2000.0, 1500.0]]), torch.tensor([0]))
    examples = []
    for number in range(count):
        path = folder / f"{number}.jpg"
        photo(number).save(path, quality=90)
        examples.append(Example(path, path, (HEIGHT, WIDTH), target))
    return Dataset(tuple(examples), ("thing",))


def photo(number: int) -> Image.Image:
    """Large smooth shapes and a little grain, as a photo has them."""
    chance = np.random.default_rng(number)
    shapes = Image.fromarray(chance.integers(0, 256, (HEIGHT // 16, WIDTH // 16, 3), dtype=np.uint8))
    shapes = ImageOps.autocontrast(shapes.filter(ImageFilter.GaussianBlur(3)))
    grain = chance.integers(-6, 7, (HEIGHT, WIDTH, 1), dtype=np.int16)
    large = np.asarray(shapes.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    return Image.fromarray((large + grain).clip(0, 255).astype(np.uint8))


def speeds(dataset: Dataset, rules: tuple[InputConfig | None, ...]) -> list[float]:
    """Pictures a second, decoded and resized: medians of turns, of which the first is not counted."""
    times: list[list[float]] = [[] for _ in rules]
    for turn in range(3 + 1):
        for rule, taken in zip(rules, times, strict=True):
            start = time.perf_counter()
            load(dataset, rule, epoch=turn)
            taken.append(time.perf_counter() - start)
    return [len(dataset) / statistics.median(taken[1:]) for taken in times]


def load(dataset: Dataset, rule: InputConfig | None, epoch: int) -> None:
    """One epoch, up to the network's input."""
    order = {"seed": 0, "epoch": epoch, "flip": 0.5, "group_by_aspect": True, "workers": 0, "ignore_regions": False}
    for batch in batches(dataset, 1, reduce_to=rule, **order):
        preprocess(batch.images, RULE)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
