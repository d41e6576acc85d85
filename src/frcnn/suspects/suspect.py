"""One suspicious annotation as people need it: which file and object, what seems wrong, and what to do about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torchvision.ops import box_area

from frcnn.data.dataset import Dataset, counted_as_in
from frcnn.data.examples import Examples
from frcnn.data.index import Kind as Format
from frcnn.structures import Detection, Detections
from frcnn.suspects.evidence import NOTHING
from frcnn.suspects.places import Place, place_of
from frcnn.suspects.ranking import Kind, Suspicion
from frcnn.suspects.words import with_article
from frcnn.texts import Texts

Box = Sequence[float]  # x1, y1, x2, y2
Remedy = Literal["add", "rename", "shift", "shrink", "grow", "remove"]

REMEDIES: dict[Kind, Remedy] = {"missing": "add", "class": "rename", "box": "shift", "spurious": "remove"}
MOSTLY = 0.9  # of a box lies inside another: then it is no shift
CORNERS = ("x1", "y1", "x2", "y2")
NOWHERE = Place(None, None, None)


class Annotated(NamedTuple):
    """An object as it is annotated."""

    row: int  # among the picture's objects
    place: Place
    class_name: str
    box: Box


@dataclass(frozen=True)
class Suspect:
    """A row of the list. Boxes are in pixels of the picture, half-open corners."""

    rank: int  # from 1
    suspicion: float
    kind: Kind
    picture: Path
    picture_number: int  # in the data set's order
    annotation: Path
    annotated: Annotated | None  # None where nothing is annotated
    proposed: Detection | None  # None where nothing was detected
    format: Format = "coco"  # of the data set: corners are told as its files count them

    @property
    def remedy(self) -> Remedy:
        """What would mend it."""
        if self.annotated is not None and self.proposed is not None and self.kind == "box":
            return mend_box(self.annotated.box, self.proposed.box)
        return REMEDIES[self.kind]

    def remedy_in_words(self, say: Texts) -> str:
        """A question to whoever looks at it."""
        names = {
            "annotated": "" if self.annotated is None else self.annotated.class_name,
            "proposed": "" if self.proposed is None else self.proposed.class_name,
        }
        with_articles = {f"a_{key}": with_article(name) for key, name in names.items()}
        return say(f"remedy.{self.remedy}", **names, **with_articles)

    def as_row(self, say: Texts) -> dict[str, Any]:
        """What suspects.csv and --json hold; what there is not is None."""
        annotated, proposed = self.annotated, self.proposed
        place = NOWHERE if annotated is None else annotated.place
        return {
            "rank": self.rank,
            "suspicion": round(self.suspicion, 4),
            "kind": self.kind,
            "picture": str(self.picture),
            "annotation": str(self.annotation),
            "object": place.number,
            "line": place.line,
            "annotation_id": place.identity,
            "annotated_class": None if annotated is None else annotated.class_name,
            "proposed_class": None if proposed is None else proposed.class_name,
            **_corners("annotated", annotated, self.format),
            **_corners("proposed", proposed, self.format),
            "score": None if proposed is None else round(proposed.score, 4),
            "remedy": self.remedy_in_words(say),
        }


def suspects_of(
    suspicions: Sequence[Suspicion], detections: Sequence[Detections], dataset: Dataset
) -> tuple[Suspect, ...]:
    """A row for each, in the order given."""
    return tuple(_suspect(rank, one, detections[one.picture], dataset) for rank, one in enumerate(suspicions, start=1))


def mend_box(annotated: Box, proposed: Box) -> Remedy:
    """What makes the one box like the other."""
    boxes = torch.tensor([annotated, proposed])
    common = torch.cat((boxes[:, :2].amax(dim=0), boxes[:, 2:].amin(dim=0)))
    inside = box_area(common[None]) / box_area(boxes)
    if (common[2:] <= common[:2]).any() or inside.max() < MOSTLY:
        return "shift"
    return "grow" if inside[0] > inside[1] else "shrink"


def _suspect(rank: int, one: Suspicion, found: Detections, dataset: Dataset) -> Suspect:
    example = dataset.examples[one.picture]
    return Suspect(
        rank=rank,
        suspicion=one.suspicion,
        kind=one.kind,
        picture=example.picture,
        picture_number=one.picture,
        annotation=example.annotation,
        annotated=None if one.object == NOTHING else _annotated(dataset, one.picture, one.object),
        proposed=None if one.found == NOTHING else found[one.found],
        format=_format(dataset, one.picture),
    )


def _format(dataset: Dataset, picture: int) -> Format:
    examples = dataset.examples
    return examples.rows_of(picture)[0].kind if isinstance(examples, Examples) else "coco"


def _annotated(dataset: Dataset, picture: int, row: int) -> Annotated:
    target = dataset.examples[picture].target
    name = dataset.class_names[int(target.class_ids[row])]
    return Annotated(row, place_of(dataset, picture, row), name, target.boxes[row].tolist())


def _corners(whose: str, one: Annotated | Detection | None, format: Format) -> dict[str, float | None]:
    if one is None:
        return dict.fromkeys(f"{whose}_{name}" for name in CORNERS)
    corners = counted_as_in(format, one.box)
    return {f"{whose}_{name}": round(corner, 2) for name, corner in zip(CORNERS, corners, strict=True)}
