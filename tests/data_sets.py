"""A small clean data set in each of the three formats."""

import io
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

HEIGHT, WIDTH = 96, 128
SPLITS = {"train": range(36), "val": range(36, 42), "test": range(42, 48)}
NAMES = ("circle", "square")
FIRST_OBJECT = 7  # the line of an annotation in which the first object begins
LINES = 9  # of an object
ORIENTATION = 0x0112

Thing = tuple[str, tuple[int, int, int, int]]


def name_of(number: int) -> str:
    return f"p{number:02d}"


def things(number: int) -> list[Thing]:
    """Three objects, half-open, in other places in each picture."""
    return [
        ("square", (10 + number, 8, 50 + number, 40)),
        ("square", (60, 20 + number // 2, 110, 50 + number // 2)),
        ("circle", (20, 50, 45 + number, 80)),
    ]


def picture(number: int) -> Image.Image:
    """Clouds of their own."""
    clouds = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(clouds).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)


@cache
def jpeg(number: int) -> bytes:
    file = io.BytesIO()
    picture(number).save(file, "JPEG", quality=90)
    return file.getvalue()


def write_voc(root: Path, numbers: dict[str, Sequence[int]] | None = None) -> Path:
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / name).mkdir(parents=True)
    for split, members in (numbers or SPLITS).items():
        for number in members:
            (root / "JPEGImages" / f"{name_of(number)}.jpg").write_bytes(jpeg(number))
            write_annotation(root, name_of(number), things(number))
        (root / "ImageSets/Main" / f"{split}.txt").write_text("".join(f"{name_of(n)}\n" for n in members))
    return root


def write_annotation(root: Path, name: str, objects: Sequence[Thing]) -> Path:
    size = f"<size>\n<width>{WIDTH}</width>\n<height>{HEIGHT}</height>\n</size>\n"
    parts = [f"<annotation>\n<filename>{name}.jpg</filename>\n{size}"]
    for kind, (x1, y1, x2, y2) in objects:
        corners = zip(("xmin", "ymin", "xmax", "ymax"), (x1 + 1, y1 + 1, x2, y2), strict=True)
        box = "".join(f"<{tag}>{value}</{tag}>\n" for tag, value in corners)
        parts.append(f"<object>\n<name>{kind}</name>\n<bndbox>\n{box}</bndbox>\n</object>\n")
    path = root / "Annotations" / f"{name}.xml"
    path.write_text("".join(parts) + "</annotation>\n")
    return path


def write_coco(root: Path) -> Path:
    """An item a line, so that lines tell."""
    (root / "annotations").mkdir(parents=True)
    for split, members in SPLITS.items():
        folder = root / f"{split}2017"
        folder.mkdir()
        lists: dict[str, list[dict]] = {"images": [], "annotations": [], "categories": []}
        lists["categories"] = [{"id": 10 * (i + 1), "name": name} for i, name in enumerate(NAMES)]
        for number in members:
            (folder / f"{name_of(number)}.jpg").write_bytes(jpeg(number))
            image = {"id": 1000 + number, "file_name": f"{name_of(number)}.jpg", "width": WIDTH, "height": HEIGHT}
            lists["images"].append(image)
            for kind, (x1, y1, x2, y2) in things(number):
                identity = 3 * number + len(lists["annotations"]) % 3
                box, category = [x1, y1, x2 - x1, y2 - y1], 10 * (NAMES.index(kind) + 1)
                item = {"id": identity, "image_id": 1000 + number, "category_id": category, "bbox": box, "iscrowd": 0}
                lists["annotations"].append(item | {"area": box[2] * box[3]})
        write_coco_file(root / "annotations" / f"instances_{split}2017.json", lists)
    return root


def write_coco_file(path: Path, lists: dict[str, list[dict]]) -> None:
    parts = [f'"{name}": [\n' + ",\n".join(map(json.dumps, items)) + "\n]" for name, items in lists.items()]
    path.write_text("{" + ",\n".join(parts) + "}\n")


def write_yolo(root: Path) -> Path:
    for split, members in SPLITS.items():
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True)
        for number in members:
            (root / "images" / split / f"{name_of(number)}.jpg").write_bytes(jpeg(number))
            lines = [yolo_line(NAMES.index(kind), box) for kind, box in things(number)]
            (root / "labels" / split / f"{name_of(number)}.txt").write_text("".join(lines))
    content = {"path": str(root), **{split: f"images/{split}" for split in SPLITS}, "names": dict(enumerate(NAMES))}
    (root / "data.yaml").write_text(yaml.safe_dump(content))
    return root


def yolo_line(class_number: int, box: tuple[int, int, int, int]) -> str:
    x1, y1, x2, y2 = box
    numbers = ((x1 + x2) / 2 / WIDTH, (y1 + y2) / 2 / HEIGHT, (x2 - x1) / WIDTH, (y2 - y1) / HEIGHT)
    return f"{class_number} {' '.join(f'{number:.6f}' for number in numbers)}\n"


def skip_without(folder: Path) -> Path:
    """A folder of real data."""
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} does not exist")
    return folder
