"""One suspicious annotation as people need it: which file and object, what seems wrong, and what to do about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torchvision.ops import box_area

from frcnn.data.dataset import Dataset
from frcnn.structures import Detections
from frcnn.suspects.evidence import NOTHING
from frcnn.suspects.places import Place, place_of
from frcnn.suspects.ranking import Kind, Suspicion
from frcnn.suspects.words import WORDS, Language, with_article

Box = tuple[float, float, float, float]
Remedy = Literal["add", "rename", "shift", "shrink", "grow", "remove"]

MOSTLY = 0.9  # of a box lies inside another: then it is no shift
CORNERS = ("x1", "y1", "x2", "y2")


@dataclass(frozen=True)
class Suspect:
    """A row of the list. Boxes are in pixels of the picture, half-open corners; what there is not is None."""

    rank: int  # from 1
    suspicion: float
    kind: Kind
    picture: Path
    picture_number: int  # in the data set's order
    annotation: Path
    place: Place | None  # None where nothing is annotated
    annotated_class: str | None
    annotated_box: Box | None
    proposed_class: str | None
    proposed_box: Box | None
    score: float | None  # of the proposal
    remedy: Remedy

    def say(self, language: Language) -> str:
        """What to do about it, in words."""
        names = {"annotated": self.annotated_class or "", "proposed": self.proposed_class or ""}
        with_articles = {f"a_{key}": with_article(name) for key, name in names.items()}
        return WORDS[language][self.remedy].format(**names, **with_articles)

    def as_row(self, language: Language) -> dict[str, Any]:
        """What suspects.csv and --json hold."""
        place = self.place or Place(None, None, None)
        return {
            "rank": self.rank,
            "suspicion": round(self.suspicion, 4),
            "kind": self.kind,
            "picture": str(self.picture),
            "annotation": str(self.annotation),
            "object": place.number,
            "line": place.line,
            "annotation_id": place.identity,
            "annotated_class": self.annotated_class,
            "proposed_class": self.proposed_class,
            **_corners("annotated", self.annotated_box),
            **_corners("proposed", self.proposed_box),
            "score": None if self.score is None else round(self.score, 4),
            "remedy": self.say(language),
        }


def suspects_of(
    suspicions: Sequence[Suspicion], detections: Sequence[Detections], dataset: Dataset
) -> tuple[Suspect, ...]:
    """A row for each, in the order given."""
    firsts = _Firsts(
        _before([len(found) for found in detections]),
        _before([len(example.target.boxes) for example in dataset.examples]),
    )
    return tuple(
        _suspect(rank, one, detections[one.picture], dataset, firsts) for rank, one in enumerate(suspicions, start=1)
    )


@dataclass(frozen=True)
class _Firsts:
    """The first row of each picture, of detections and of objects."""

    found: list[int]
    objects: list[int]


def _before(counts: Sequence[int]) -> list[int]:
    return (torch.tensor([0, *counts]).cumsum(0)[:-1]).tolist()


def _suspect(rank: int, one: Suspicion, found: Detections, dataset: Dataset, firsts: _Firsts) -> Suspect:
    example = dataset.examples[one.picture]
    place = annotated_class = annotated_box = proposed_class = proposed_box = score = None
    if one.object != NOTHING:
        row = one.object - firsts.objects[one.picture]
        place = place_of(dataset, one.picture, row)
        annotated_class = dataset.class_names[int(example.target.class_ids[row])]
        annotated_box = _corners_of(example.target.boxes[row])
    if one.found != NOTHING:
        row = one.found - firsts.found[one.picture]
        proposed_class = dataset.class_names[int(found.class_ids[row])]
        proposed_box, score = _corners_of(found.boxes[row]), float(found.scores[row])
    return Suspect(
        rank=rank,
        suspicion=one.suspicion,
        kind=one.kind,
        picture=example.picture,
        picture_number=one.picture,
        annotation=example.annotation,
        place=place,
        annotated_class=annotated_class,
        annotated_box=annotated_box,
        proposed_class=proposed_class,
        proposed_box=proposed_box,
        score=score,
        remedy=remedy_for(one.kind, annotated_box, proposed_box),
    )


def remedy_for(kind: Kind, annotated: Box | None, proposed: Box | None) -> Remedy:
    """What would mend it."""
    of_kinds: dict[Kind, Remedy] = {"missing": "add", "class": "rename", "box": "shift", "spurious": "remove"}
    if kind != "box" or annotated is None or proposed is None:
        return of_kinds[kind]
    boxes = torch.tensor([annotated, proposed])
    common = torch.cat((boxes[:, :2].amax(dim=0), boxes[:, 2:].amin(dim=0)))
    inside = box_area(common[None]) / box_area(boxes)
    if (common[2:] <= common[:2]).any() or inside.max() < MOSTLY:
        return "shift"
    return "grow" if inside[0] > inside[1] else "shrink"


def _corners_of(box: Tensor) -> Box:
    x1, y1, x2, y2 = (round(corner, 2) for corner in box.tolist())
    return x1, y1, x2, y2


def _corners(whose: str, box: Box | None) -> dict[str, float | None]:
    return {f"{whose}_{name}": corner for name, corner in zip(CORNERS, box or (None,) * 4, strict=True)}
