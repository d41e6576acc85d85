"""Writes the PASCAL VOC layout: an XML file a picture, lists of the splits. Crowds become difficult objects."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

from frcnn.data.entries import Entry, rounded
from frcnn.data.voc import CORNERS


class VocWriter:
    """See `Writer`."""

    keeps_flags = True

    def __init__(self, folder: Path, class_names: Sequence[str], _category_ids: Sequence[int]) -> None:
        self.folder, self.class_names = folder, class_names
        self.splits: dict[str, list[str]] = {}
        for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
            (folder / name).mkdir(parents=True)

    def picture(self, entry: Entry) -> Path:
        """Where the picture's file belongs."""
        return self.folder / "JPEGImages" / entry.name

    def add(self, entry: Entry) -> None:
        """Write the objects of a picture."""
        self.splits.setdefault(entry.split, []).append(entry.stem)
        root = ElementTree.Element("annotation")
        _put(root, "folder", self.folder.name)
        _put(root, "filename", entry.name)
        size = ElementTree.SubElement(root, "size")
        for tag, value in zip(("height", "width", "depth"), (*entry.size, 3), strict=True):
            _put(size, tag, value)
        for corners, class_id, flags in zip(entry.corners, entry.class_ids, entry.flags, strict=True):
            item = ElementTree.SubElement(root, "object")
            _put(item, "name", self.class_names[class_id])
            _put(item, "difficult", int(flags != 0))
            box = ElementTree.SubElement(item, "bndbox")
            x1, y1, x2, y2 = corners
            for tag, value in zip(CORNERS, (x1 + 1, y1 + 1, x2, y2), strict=True):
                _put(box, tag, f"{rounded(value):.10g}")
        ElementTree.indent(root)
        path = self.folder / "Annotations" / f"{entry.stem}.xml"
        path.write_text(ElementTree.tostring(root, encoding="unicode") + "\n", encoding="utf-8")

    def finish(self) -> None:
        """Write what stands over all pictures."""
        for split, ids in self.splits.items():
            path = self.folder / "ImageSets" / "Main" / f"{split}.txt"
            path.write_text("".join(f"{identity}\n" for identity in ids), encoding="utf-8")


def _put(parent: ElementTree.Element, tag: str, value: object) -> None:
    ElementTree.SubElement(parent, tag).text = str(value)
