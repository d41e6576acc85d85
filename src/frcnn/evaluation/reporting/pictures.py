"""Pictures with what was found and what is there, and in words what is wrong: for the page and for errors/."""

import base64
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image
from torchvision.ops import box_iou

from frcnn.cropping import jpeg
from frcnn.data.pictures import read_picture
from frcnn.drawing import IGNORED_COLOUR, WHITE, Labelled, draw_boxes, shortened
from frcnn.errors import DataError
from frcnn.evaluation.error_types import Fate, Verdict
from frcnn.evaluation.reporting.colours import KIND_COLOURS
from frcnn.evaluation.reporting.judged import KINDS, MISSED, JudgedPicture
from frcnn.texts import Texts

PICTURE_SIDE = 640  # pixels of a drawn picture's long side
LARGEST_ENLARGEMENT = 4
MOST_NAMED = 4  # errors in a caption
ON_AN_OBJECT = (Verdict.CLASS.key, Verdict.BOTH.key)  # of another class: both are named
OFF_THE_PLACE = (Verdict.LOCALISATION.key, Verdict.BOTH.key)  # how far is told
OBJECT_COLOURS = {Fate.FOUND: WHITE, Fate.MISSED: KIND_COLOURS[MISSED], Fate.IGNORED: IGNORED_COLOUR}


@dataclass(frozen=True)
class DrawnPicture:
    """A JPEG file, and what it shows in words: the errors of one kind, and what was found in all."""

    name: str
    jpeg: bytes
    width: int
    height: int
    errors: str
    summary: str
    alt: str

    @property
    def base64(self) -> str:
        """As a page holds it."""
        return base64.b64encode(self.jpeg).decode("ascii")


def drawn(pictures: Sequence[JudgedPicture], kind: str | None, say: Texts) -> list[DrawnPicture]:
    """The pictures that can be drawn; the errors of `kind` are on top, and named."""
    found = [(picture, draw(picture, kind)) for picture in pictures]
    return [_told(picture, image, kind, say) for picture, image in found if image is not None]


def draw(picture: JudgedPicture, kind: str | None = None) -> Image.Image | None:
    """Detections in the colour of their verdict, objects dashed, those of `kind` on top; None where it cannot be.

    Scaled first, drawn then: lines and letters are as crisp in a small picture as in a large one.
    """
    try:
        image = read_picture(picture.example.picture)
    except DataError:  # a result file is evaluated without pictures
        return None
    if image.size != picture.example.size[::-1]:  # boxes would lie elsewhere, see `of_another_size`
        return None
    scale = min(PICTURE_SIDE / max(image.size), LARGEST_ENLARGEMENT)
    width, height = (max(1, round(side * scale)) for side in image.size)
    return draw_boxes(
        image.resize((width, height), Image.Resampling.BICUBIC),
        [_scaled(box, scale) for box in _solid(picture, kind)],
        [_scaled(box, scale) for box in _dashed(picture)],
    )


def errors_in_words(picture: JudgedPicture, kind: str, say: Texts) -> str:
    """The errors of a kind, the most confident first; very many are cut short."""
    if kind == MISSED:
        names = Counter(_object_name(picture, row) for row in picture.with_fate(Fate.MISSED))
        words = [
            name if number == 1 else say("picture.times", name=name, number=number)
            for name, number in names.most_common()
        ]
    else:
        words = [_detection_in_words(picture, kind, row, say) for row in picture.of_kind(kind)]
    rest = len(words) - MOST_NAMED
    return ", ".join(words[:MOST_NAMED]) + (f" {say('picture.more', number=rest)}" if rest > 0 else "")


def summary_in_words(picture: JudgedPicture, say: Texts) -> str:
    """How many objects were found, and how many detections are wrong."""
    found, missed = (len(picture.with_fate(fate)) for fate in (Fate.FOUND, Fate.MISSED))
    wrong = sum(len(picture.of_kind(kind)) for kind in KINDS)
    parts = [say("picture.summary", found=found, objects=found + missed)]
    return ", ".join(parts + ([say("picture.wrong", wrong=wrong)] if wrong else []))


def _told(picture: JudgedPicture, image: Image.Image, kind: str | None, say: Texts) -> DrawnPicture:
    seen = [say("picture.found", found=one.class_name, score=f"{one.score:.2f}") for one in picture.detections]
    return DrawnPicture(
        name=picture.example.picture.name,
        jpeg=jpeg(image),
        width=image.width,
        height=image.height,
        errors="" if kind is None else errors_in_words(picture, kind, say),
        summary=summary_in_words(picture, say),
        alt=say("picture.detected", names=", ".join(seen) or say("picture.nothing")),
    )


def _detection_in_words(picture: JudgedPicture, kind: str, row: int, say: Texts) -> str:
    """Its name and score; what the object is, where that is another class; how far off it is, where it only touches."""
    name, score = picture.detections[row].class_name, f"{picture.detections[row].score:.2f}"
    values: dict[str, object] = {"found": name, "score": score}
    words = say("picture.found", **values)
    if kind in ON_AN_OBJECT:
        words = say("picture.taken", object=_object_name(picture, picture.objects[row]), **values)
    if kind in OFF_THE_PLACE:
        box = picture.example.target.boxes[picture.objects[row]]
        iou = float(box_iou(picture.detections.boxes[row][None], box[None]))
        return say("picture.overlap", words=words, iou=f"{iou:.2f}")
    return words


def _object_name(picture: JudgedPicture, row: int) -> str:
    return picture.detections.class_names[int(picture.example.target.class_ids[row])]


def _solid(picture: JudgedPicture, kind: str | None) -> list[Labelled]:
    """The errors of the kind, the other errors, and what is right."""
    keys = [verdict.key for verdict in picture.verdicts]
    order = sorted(range(len(keys)), key=lambda row: (keys[row] != kind, keys[row] not in KINDS))
    return [
        Labelled(
            picture.detections.boxes[row].tolist(),
            f"{shortened(picture.detections[row].class_name)} {picture.detections[row].score:.2f}",
            KIND_COLOURS[keys[row]],
        )
        for row in order
    ]


def _dashed(picture: JudgedPicture) -> list[Labelled]:
    """The objects, named where they were missed."""
    return [
        Labelled(box, shortened(_object_name(picture, row)) if fate == Fate.MISSED else "", OBJECT_COLOURS[fate])
        for row, (box, fate) in enumerate(zip(picture.example.target.boxes.tolist(), picture.fates, strict=True))
    ]


def _scaled(box: Labelled, scale: float) -> Labelled:
    return box._replace(box=[corner * scale for corner in box.box])
