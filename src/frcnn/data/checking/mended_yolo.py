"""A mended copy of a YOLO set: pictures, text files, and the YAML or the lists that tell its splits."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from frcnn.data.checking.copying import put_file, put_papers, put_picture
from frcnn.data.checking.plan import Plan
from frcnn.data.yolo import YoloSet
from frcnn.data.yolo_description import SPLITS, read_content
from frcnn.data.yolo_labels import label_of, whole
from frcnn.data.yolo_names import name_files
from frcnn.files import make_folder
from frcnn.progress import Advance

DIGITS = 8  # of a fraction: a thousandth of a pixel in the largest picture


def write_yolo(plan: Plan, yolo: YoloSet, target: Path, progress: Advance) -> None:
    """Into a new folder."""
    base = _base(plan, yolo)
    pictures = plan.one.said.pictures
    for number, picture in enumerate(pictures):
        if number not in plan.left_out:
            new = target / os.path.relpath(picture.path, base)
            put_picture(plan, number, new)
            if picture.annotation.is_file():
                _write_labels(plan, number, label_of(new, whole(target)))
        progress(number + 1, len(pictures))
    _write_splits(plan, yolo, base, target)
    for file in name_files(yolo.root):
        if file.is_file():
            put_file(file, target / os.path.relpath(file, base))
    put_papers(yolo.root, target / os.path.relpath(yolo.root, base))


def _base(plan: Plan, yolo: YoloSet) -> Path:
    """The folder that holds all: the pictures may lie beside the folder of the YAML."""
    places = [place for places in yolo.splits.values() for place in places]
    folders = [place if place.is_dir() else place.parent for place in places]
    folders += [picture.path.parent for picture in plan.one.said.pictures]
    return Path(os.path.commonpath([os.path.normpath(folder.absolute()) for folder in (yolo.root, *folders)]))


def _write_labels(plan: Plan, number: int, target: Path) -> None:
    """Lines that are kept stay as they are, but for what is mended in them."""
    source = plan.one.said.pictures[number].annotation
    lines = source.read_text(encoding="utf-8-sig").splitlines()
    rows = plan.rows_by_place(number)
    kept = [_line(plan, rows[place], text) for place, text in enumerate(lines, start=1) if place in rows]
    make_folder(target.parent)
    target.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")


def _line(plan: Plan, row: int, text: str) -> str:
    """A box in place of the outline where that does not fit any more; a confidence and keypoints follow it."""
    words = text.split()
    said = plan.one.said
    name = said.class_names[int(said.objects.class_id[row])]
    if name != plan.class_name(row):
        words[0] = str(said.class_names.index(plan.class_name(row)))
    if plan.changed[row]:
        follows = words[5:] if len(words) == 6 or plan.keeps_keypoints(row) else []
        words = [words[0], *(f"{round(number, DIGITS):.{DIGITS}g}" for number in plan.numbers(row)), *follows]
    return " ".join(words)


def _write_splits(plan: Plan, yolo: YoloSet, base: Path, target: Path) -> None:
    """Folders stay the splits; a list is written where there was one, or where a picture has to leave its folder."""
    file = yolo.described_by
    places: dict[str, Any] = {split: _write_split(plan, yolo, base, target, split) for split in yolo.splits}
    if file is None:
        return
    described = target / os.path.relpath(file, base)
    content = read_content(file)
    changed: dict[str, Any] = {"names": dict(enumerate(yolo.names))}
    if "nc" in content:
        changed["nc"] = len(yolo.names)
    for split, of_split in places.items():
        paths = [os.path.relpath(place, described.parent) for place in of_split]
        names = [other for other in SPLITS if content.get(other) == content[split] and other not in places]  # stand-ins
        changed |= dict.fromkeys((split, *names), paths[0] if len(paths) == 1 else paths)
    described.parent.mkdir(parents=True, exist_ok=True)
    described.write_text(_changed_text(file, changed), encoding="utf-8")


def _changed_text(file: Path, changed: Mapping[str, Any]) -> str:
    """A YAML file with other values, and without the `path` of the old set; all else is written as it was.

    So a number stays one, and what is quoted stays text, to programs that ask for more than we read.
    """
    described = yaml.compose(file.read_text(encoding="utf-8-sig"), yaml.SafeLoader)
    represented = yaml.representer.SafeRepresenter(sort_keys=False).represent_data
    described.value = [
        (key, represented(changed[key.value]) if key.value in changed else value)
        for key, value in described.value
        if key.value != "path"
    ]
    return yaml.serialize(described, Dumper=yaml.SafeDumper, allow_unicode=True)


def _write_split(plan: Plan, yolo: YoloSet, base: Path, target: Path, split: str) -> list[Path]:
    """The places of a split in the copy."""
    places = yolo.splits[split]
    moved = any(listing.split == split for listing in plan.unlisted)
    if all(place.is_dir() for place in places) and not (moved and yolo.described_by):
        new = [target / os.path.relpath(place, base) for place in places]
        for folder in new:
            make_folder(folder)
        return new
    kept = [plan.one.said.pictures[listing.picture].path for listing in plan.kept_listings(split)]
    lists = [place for place in places if place.is_file()]
    new_list = target / (os.path.relpath(lists[0], base) if lists else f"{split}.txt")
    make_folder(new_list.parent)
    paths = dict.fromkeys(os.path.relpath(target / os.path.relpath(path, base), new_list.parent) for path in kept)
    new_list.write_text("".join(f"{path}\n" for path in paths), encoding="utf-8")
    return [new_list]
