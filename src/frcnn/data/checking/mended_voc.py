"""A mended copy of a VOC set: its annotations, pictures and lists of splits, and its papers."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from frcnn.data.checking.copying import put_file, put_papers, put_picture, round_number
from frcnn.data.checking.plan import Plan
from frcnn.data.checking.voc_statements import split_list
from frcnn.data.voc import CORNERS, VocSet, number_of, text_of
from frcnn.data.voc_lists import SPLITS
from frcnn.data.xml_text import parse_content, read_content
from frcnn.files import make_folder
from frcnn.progress import Advance

Element = ElementTree.Element


def write_voc(plan: Plan, voc: VocSet, target: Path, progress: Advance) -> None:
    """Into a new folder."""
    for name in ("Annotations", "JPEGImages"):
        make_folder(target / name)
    pictures = plan.one.said.pictures
    for number, picture in enumerate(pictures):
        if number not in plan.left_out:
            put_picture(plan, number, target / picture.path.relative_to(voc.folder))
            _write_annotation(plan, number, target / "Annotations" / picture.annotation.name)
        progress(number + 1, len(pictures))
    _copy_unannotated(plan, voc, target)
    _write_lists(plan, voc, target)
    put_papers(voc.folder, target)


def _write_annotation(plan: Plan, number: int, target: Path) -> None:
    """The old file where nothing is to be changed, else its elements written anew."""
    source = plan.one.said.pictures[number].annotation
    root = parse_content(source, read_content(source))
    objects_changed = _mend_objects(plan, number, root)
    size_changed = _mend_size(plan, number, root)
    if objects_changed or size_changed:
        ElementTree.ElementTree(root).write(target, encoding="utf-8")
    else:
        put_file(source, target)


def _mend_objects(plan: Plan, number: int, root: Element) -> bool:
    """Was anything changed?"""
    rows = plan.rows_by_place(number)
    changed = False
    for place, element in enumerate(root.findall("object"), start=1):
        row = rows.get(place)
        if row is None:
            root.remove(element)
            changed = True
            continue
        if plan.changed[row]:
            _write_box(plan, row, element)
            changed = True
        if text_of(element, "name") != plan.class_name(row):
            _set_text(element, "name", plan.class_name(row))
            changed = True
    return changed


def _write_box(plan: Plan, row: int, element: Element) -> None:
    box = element.find("bndbox")
    assert box is not None  # it was read
    for corner, number in zip(CORNERS, plan.numbers(row), strict=True):
        _set_text(box, corner, str(round_number(number)))


def _mend_size(plan: Plan, number: int, root: Element) -> bool:
    """Was anything changed? A size that was doubted, and left, is left."""
    size = root.find("size")
    if size is None or not (number in plan.stored_anew or plan.moved[plan.rows_of(number)].any()):
        return False
    height, width = plan.sizes[number].tolist()
    if (number_of(text_of(size, "height")), number_of(text_of(size, "width"))) == (height, width):
        return False
    _set_text(size, "height", str(height))
    _set_text(size, "width", str(width))
    return True


def _set_text(element: Element, tag: str, text: str) -> None:
    child = element.find(tag)
    if child is None:
        child = ElementTree.SubElement(element, tag)
    child.text = text


def _copy_unannotated(plan: Plan, voc: VocSet, target: Path) -> None:
    """Pictures without annotation are only suspicious: they stay."""
    annotated = {picture.path for picture in plan.one.said.pictures}
    for path in sorted(set(voc.pictures.values()) - annotated):
        if not voc.annotation(path.stem).exists():
            put_file(path, target / path.relative_to(voc.folder))


def _write_lists(plan: Plan, voc: VocSet, target: Path) -> None:
    """Each id once, in the old order."""
    pictures = plan.one.said.pictures
    for split in SPLITS:
        if not split_list(voc, split).is_file():
            continue
        ids = dict.fromkeys(pictures[listing.picture].annotation.stem for listing in plan.kept_listings(split))
        file = target / split_list(voc, split).relative_to(voc.folder)
        make_folder(file.parent)
        file.write_text("".join(f"{identity}\n" for identity in ids), encoding="utf-8")
