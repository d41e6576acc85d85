"""Writes COCO's layout: a JSON file a split, and the pictures of each in a folder of its own."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from frcnn.data.entries import Entry, rounded
from frcnn.data.index import CROWD, DIFFICULT


class CocoWriter:
    """See `Writer`. Pictures and objects are written as they come: none are held in memory."""

    keeps_flags = True

    def __init__(self, folder: Path, class_names: Sequence[str], category_ids: Sequence[int]) -> None:
        self.folder = folder
        ids = category_ids or range(1, len(class_names) + 1)
        self.categories = [{"id": number, "name": name} for number, name in zip(ids, class_names, strict=True)]
        self.parts: dict[str, _Part] = {}
        (folder / "annotations").mkdir(parents=True)

    def picture(self, entry: Entry) -> Path:
        """Where the picture's file belongs."""
        return self.folder / entry.split / entry.name

    def add(self, entry: Entry) -> None:
        """Write the objects of a picture."""
        if entry.split not in self.parts:
            self.parts[entry.split] = _Part(self.folder / "annotations" / f"instances_{entry.split}.json")
        part = self.parts[entry.split]
        height, width = entry.size
        part.images.add({"id": entry.identity, "file_name": entry.name, "height": height, "width": width})
        objects = (entry.corners, entry.class_ids, entry.flags, entry.areas, entry.object_identities)
        for (x1, y1, x2, y2), class_id, flags, area, identity in zip(*objects, strict=True):
            box = [rounded(x1), rounded(y1), rounded(x2 - x1), rounded(y2 - y1)]
            item: dict[str, Any] = {
                "id": identity,
                "image_id": entry.identity,
                "category_id": self.categories[class_id]["id"],
                "bbox": box,
                "area": rounded(box[2] * box[3] if math.isnan(area) else area),
                "iscrowd": int(flags & CROWD != 0),
            }
            part.annotations.add(item | ({"ignore": 1, "difficult": 1} if flags & DIFFICULT else {}))

    def finish(self) -> None:
        """Write what stands over all pictures."""
        for part in self.parts.values():
            part.finish(self.categories)


class _List:
    """The items of a JSON list, one a line, in a file of their own until all are there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: IO[str] = path.open("w", encoding="utf-8")
        self.count = 0

    def add(self, item: dict[str, Any]) -> None:
        self.file.write((",\n" if self.count else "") + json.dumps(item, ensure_ascii=False))
        self.count += 1

    def close(self) -> None:
        self.file.close()


class _Part:
    """One split: its images go straight into its file, its annotations behind them once all are known."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.images, self.annotations = _List(path), _List(path.with_suffix(".annotations"))
        self.images.file.write('{"images": [\n')

    def finish(self, categories: Sequence[dict[str, Any]]) -> None:
        self.annotations.close()
        with self.annotations.path.open(encoding="utf-8") as written:
            self.images.file.write('\n],\n"annotations": [\n')
            while text := written.read(1 << 20):
                self.images.file.write(text)
        self.images.file.write(f'\n],\n"categories": {json.dumps(categories, ensure_ascii=False)}}}\n')
        self.images.close()
        self.annotations.path.unlink()
