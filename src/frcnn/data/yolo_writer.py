"""Writes YOLO's layout: images and labels by split, and data.yaml. It knows neither difficult objects nor crowds."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from frcnn.data.entries import Entry
from frcnn.data.yolo import as_fractions
from frcnn.data.yolo_description import VAL_IS_TRAIN
from frcnn.data.yolo_labels import label_of, whole


class YoloWriter:
    """See `Writer`."""

    keeps_flags = False

    def __init__(self, folder: Path, class_names: Sequence[str], _category_ids: Sequence[int]) -> None:
        self.folder, self.class_names = folder, class_names
        self.splits: dict[str, None] = {}

    def picture(self, entry: Entry) -> Path:
        """Where the picture's file belongs."""
        return self.folder / "images" / entry.split / entry.name

    def add(self, entry: Entry) -> None:
        """Write the objects of a picture."""
        self.splits[entry.split] = None
        lines = [
            f"{class_id} " + " ".join(f"{fraction:.10g}" for fraction in as_fractions(corners, entry.size)) + "\n"
            for corners, class_id in zip(entry.corners, entry.class_ids, strict=True)
        ]
        label = label_of(self.picture(entry), whole(self.folder))
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("".join(lines), encoding="utf-8")

    def finish(self) -> None:
        """Write what stands over all pictures; others than we look for train and val, and know no trainval."""
        places = {split: f"images/{split}" for split in self.splits}
        train = places.get("train") or places.get("trainval")
        others = {} if train is None else {"train": train, "val": places.get("val", train)}
        marks = {VAL_IS_TRAIN: True} if "train" in places and "val" not in places else {}
        names = dict(enumerate(self.class_names))
        text = yaml.safe_dump(others | places | marks | {"names": names}, sort_keys=False, allow_unicode=True)
        (self.folder / "data.yaml").write_text(text, encoding="utf-8")
