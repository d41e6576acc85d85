"""How many mistakes planted in a data set does `frcnn data suspects` find? A line of JSON a seed, and one of all.

    python benchmarks/suspects.py --model voc-part-seed-0/last.safetensors --data ../shared/data/VOC2007-part

In copies of the annotations some objects are taken out, some get the name of another class, and some are moved by a
third of their width and of their height; never difficult ones. The model must not have seen the pictures. It looks at
them once; the planted mistakes are then looked for among the first rows of each seed's list, beside whatever the data
set has of its own. The ranking was settled on seeds below 100 and on VOC2012-animals-400px: report others.
"""

import argparse
import json
import random
import shutil
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from frcnn.data.convert import convert
from frcnn.data.dataset import Dataset, load_dataset
from frcnn.data.voc import CORNERS
from frcnn.ops.boxes import box_iou
from frcnn.predict import open_model
from frcnn.structures import Detections
from frcnn.suspects.ranking import Kind, rank
from frcnn.suspects.run import detections_of
from frcnn.suspects.suspect import Suspect, suspects_of

KINDS: tuple[Kind, ...] = ("missing", "class", "box")
MOVED = 1 / 3  # of width and height
SAME_PLACE = 0.5  # IoU with the box that was taken out


class Planted(NamedTuple):
    """One mistake, and how the truth was."""

    kind: Kind
    picture: str  # its stem
    number: int  # of the object in the file; 0 where it was taken out
    box: tuple[float, ...]  # half-open corners


def main() -> None:
    """Look once, plant for every seed, count."""
    asked = arguments()
    network = open_model(asked.model)
    with tempfile.TemporaryDirectory() as folder:
        clean = Path(folder) / "clean"
        convert([asked.data], clean, "voc", bad_boxes="skip", pictures="link")
        dataset = load_dataset([clean], asked.split, network.class_names)
        start = time.perf_counter()
        detections = detections_of(network, dataset, workers=2)
        seconds = time.perf_counter() - start
        lines = [measured(asked, clean, Path(folder) / f"{seed}", dataset, detections, seed) for seed in asked.seeds]
    summary = {
        "seeds": asked.seeds,
        "mean_found": sum(line["found"] for line in lines) / len(lines),
        "mean_of_kinds": {kind: sum(line["kinds"][kind] for line in lines) / len(lines) for kind in KINDS},
        "planted": len(KINDS) * asked.each,
        "rows": asked.rows,
        "pictures": len(dataset),
        "objects": dataset.count_learnt(),
        "seconds_detecting": round(seconds, 1),
    }
    print(json.dumps(summary))


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--each", type=int, default=20, help="mistakes of each kind")
    parser.add_argument("--rows", type=int, default=120, help="how much of the list is looked at")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(100, 108)))
    return parser.parse_args()


def measured(
    asked: argparse.Namespace, clean: Path, folder: Path, dataset: Dataset, detections: Sequence[Detections], seed: int
) -> dict:
    """One line; "kinds" counts what is in the list for whatever reason, "right" what is there for the right one."""
    shutil.copytree(clean / "Annotations", folder / "Annotations")
    shutil.copytree(clean / "ImageSets", folder / "ImageSets")
    (folder / "JPEGImages").symlink_to(clean / "JPEGImages")
    planted = plant(folder, asked.split, dataset.class_names, asked.each, seed)
    spoilt = load_dataset([folder], asked.split, dataset.class_names)
    start = time.perf_counter()
    targets = [example.target for example in spoilt.examples]
    suspicions = rank(detections, targets, spoilt.sizes, len(spoilt.class_names))[: asked.rows]
    seconds = time.perf_counter() - start
    rows = suspects_of(suspicions, detections, spoilt)
    found = [(one, row) for one in planted if (row := first_about(one, rows))]
    kinds = Counter(one.kind for one, _ in found)
    right = Counter(one.kind for one, row in found if one.kind == row.kind)
    line = {
        "seed": seed,
        "found": len(found),
        "kinds": {kind: kinds[kind] for kind in KINDS},
        "right": {kind: right[kind] for kind in KINDS},
        "in_first_half": sum(row.rank <= asked.rows // 2 for _, row in found),
        "rows_of_kinds": dict(sorted(Counter(row.kind for row in rows).items())),
        "seconds_ranking": round(seconds, 2),
    }
    print(json.dumps(line), flush=True)
    return line


def plant(folder: Path, split: str, class_names: Sequence[str], each: int, seed: int) -> list[Planted]:
    """Write mistakes into the annotations of a split in a folder of VOC's layout."""
    chance = random.Random(seed)
    names = (folder / "ImageSets" / "Main" / f"{split}.txt").read_text(encoding="utf-8").split()
    trees = {name: ElementTree.parse(folder / "Annotations" / f"{name}.xml") for name in names}
    objects = [
        (name, item)
        for name, tree in trees.items()
        for item in tree.getroot().findall("object")
        if item.findtext("difficult") != "1"
    ]
    chosen = chance.sample(objects, len(KINDS) * each)
    spoilt = []
    for place, (name, item) in enumerate(chosen):
        kind = KINDS[place // each]
        spoilt.append((kind, name, item, corners_of(item)))
        if kind == "missing":
            trees[name].getroot().remove(item)
        elif kind == "class":
            others = [other for other in class_names if other != item.findtext("name")]
            put(item, "name", chance.choice(others))
        else:
            move(item, trees[name], chance)
    for name, tree in trees.items():
        tree.write(folder / "Annotations" / f"{name}.xml", encoding="utf-8")
    return [
        Planted(kind, name, 0 if kind == "missing" else trees[name].getroot().findall("object").index(item) + 1, box)
        for kind, name, item, box in spoilt
    ]


def move(item: ElementTree.Element, tree: ElementTree.ElementTree, chance: random.Random) -> None:
    """Towards one of the four corners, and no further than the picture's border."""
    x1, y1, x2, y2 = corners_of(item)
    width, height = (float(tree.getroot().findtext(f"size/{side}") or 0) for side in ("width", "height"))
    dx, dy = chance.choice((-1, 1)) * (x2 - x1) * MOVED, chance.choice((-1, 1)) * (y2 - y1) * MOVED
    moved = (max(x1 + dx, 0), max(y1 + dy, 0), min(x2 + dx, width), min(y2 + dy, height))
    for corner, value, shift in zip(CORNERS, moved, (1, 1, 0, 0), strict=True):
        put(item, f"bndbox/{corner}", f"{value + shift:.2f}")


def corners_of(item: ElementTree.Element) -> tuple[float, ...]:
    """Half-open."""
    x1, y1, x2, y2 = (float(item.findtext(f"bndbox/{corner}") or 0) for corner in CORNERS)
    return x1 - 1, y1 - 1, x2, y2


def put(item: ElementTree.Element, tag: str, text: str) -> None:
    """Write over what stands there."""
    place = item.find(tag)
    assert place is not None
    place.text = text


def first_about(one: Planted, rows: Sequence[Suspect]) -> Suspect | None:
    """The first row that is about the object, or that proposes it where it was."""
    for row in rows:
        if row.picture.stem != one.picture:
            continue
        if one.kind != "missing" and row.annotated is not None and row.annotated.place.number == one.number:
            return row
        if one.kind == "missing" and row.kind == "missing" and row.proposed is not None:
            boxes = torch.tensor([one.box, row.proposed.box])
            if float(box_iou(boxes[:1], boxes[1:])) >= SAME_PLACE:
                return row
    return None


if __name__ == "__main__":
    main()
