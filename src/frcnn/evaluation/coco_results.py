"""COCO's result files as arrays: a JSON list of {"image_id", "category_id", "bbox": [x, y, width, height], "score"}."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from frcnn.errors import DataError
from frcnn.structures import Detections

KEYS = ("image_id", "category_id", "bbox", "score")
LARGEST_ID = 2**63 - 1
LARGEST_NUMBER = 3.4e38  # of float32
LONGEST_QUOTE = 60  # letters of what is wrong that an error message shows


@dataclass(frozen=True)
class CocoResults:
    """The detections of a file, in its order; the ids are the file's own."""

    path: Path
    image_ids: Int[np.ndarray, " D"]
    category_ids: Int[np.ndarray, " D"]
    boxes: Float[np.ndarray, "D 4"]  # corners
    scores: Float[np.ndarray, " D"]

    def detections(
        self, image_ids: Sequence[int], classes_by_id: Mapping[int, int], class_names: Sequence[str]
    ) -> list[Detections]:
        """One for each of the pictures, in their order; a class may have several category ids.

        Raises DataError for a picture or category that is not among them.
        """
        pictures = _positions(
            self, "image_id", self.image_ids, {identity: number for number, identity in enumerate(image_ids)}
        )
        class_ids = _positions(self, "category_id", self.category_ids, classes_by_id)
        order = np.lexsort((-self.scores, pictures))  # of each picture the best first, equal ones as in the file
        ends = np.searchsorted(pictures[order], np.arange(1, len(image_ids)))
        return [
            Detections(
                torch.from_numpy(self.boxes[rows]).float(),
                torch.from_numpy(self.scores[rows]).float(),
                torch.from_numpy(class_ids[rows]),
                tuple(class_names),
            )
            for rows in np.split(order, ends)[: len(image_ids)]
        ]


def read_coco_results(path: Path) -> CocoResults:
    """Read a whole result file. Raises DataError, naming the entry, for what does not belong into one."""
    entries = _entries(path)
    for number, entry in enumerate(entries):
        if trouble := _trouble(entry):
            raise DataError(f"{path}: entry {number}: {trouble}")
    boxes = np.array([entry["bbox"] for entry in entries], dtype=np.float64).reshape(-1, 4)
    return CocoResults(
        path,
        np.array([entry["image_id"] for entry in entries], dtype=np.int64),
        np.array([entry["category_id"] for entry in entries], dtype=np.int64),
        np.hstack((boxes[:, :2], boxes[:, :2] + boxes[:, 2:])),
        np.array([entry["score"] for entry in entries], dtype=np.float64),
    )


def _entries(path: Path) -> list[Any]:
    try:
        entries = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:  # broken JSON, no UTF-8, or nested beyond all measure
        raise DataError(f"{path}: is no JSON ({error}): a result file is a JSON list of detections") from error
    if isinstance(entries, dict) and "annotations" in entries:
        raise DataError(f"{path}: holds a data set's annotations: a result file is a JSON list of detections")
    if not isinstance(entries, list):
        raise DataError(f"{path}: holds no list: a result file is a JSON list of detections")
    return entries


def _trouble(entry: Any) -> str | None:
    """What is wrong with an entry of the list."""
    if not isinstance(entry, dict):
        return f"must be an object with the keys {', '.join(KEYS)}"
    if missing := [key for key in KEYS if key not in entry]:
        return f"has no {missing[0]}"
    for key in ("image_id", "category_id"):
        if type(entry[key]) is not int or abs(entry[key]) > LARGEST_ID:  # true is an int as well
            return f"{key} must be a whole number, not {_quoted(entry[key])}"
    box, score = entry["bbox"], entry["score"]
    if not (isinstance(box, list) and len(box) == 4 and all(map(_is_number, box))):
        return f"bbox must be four numbers (x, y, width, height), not {_quoted(box)}"
    if box[2] < 0 or box[3] < 0:
        return f"bbox has a negative width or height: {_quoted(box)}"
    return None if _is_number(score) else f"score must be a number, not {_quoted(score)}"


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= LARGEST_NUMBER  # false for NaN


def _quoted(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_QUOTE else f"{text[: LONGEST_QUOTE - 1]}…"


def _positions(
    results: CocoResults, key: str, ids: Int[np.ndarray, " D"], known: Mapping[int, int]
) -> Int[np.ndarray, " D"]:
    """What each of the file's ids stands for in the data set."""
    positions = np.array([known.get(identity, -1) for identity in ids.tolist()], dtype=np.int64)
    if (positions < 0).any():
        number = int((positions < 0).argmax())
        raise DataError(f"{results.path}: entry {number}: {key} {ids[number]} is not in the data set")
    return positions
