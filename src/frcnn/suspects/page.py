"""suspects.html: each suspicious annotation with a picture, on one page that needs nothing outside it."""

import base64
from collections import Counter
from typing import NamedTuple

from frcnn.cropping import css, jpeg
from frcnn.data.dataset import Dataset
from frcnn.data.pictures import read_picture
from frcnn.pages import render_page
from frcnn.suspects.crops import ANNOTATED, PROPOSED, crop
from frcnn.suspects.findings import Suspects
from frcnn.suspects.ranking import RULES
from frcnn.suspects.suspect import Box, Suspect
from frcnn.texts import Texts


class Card(NamedTuple):
    """A suspicion on the page."""

    rank: int
    kind: str
    jpeg: str  # base64
    size: tuple[int, int]  # (width, height)
    suspicion: str
    remedy: str
    details: str


def page(findings: Suspects, dataset: Dataset, say: Texts) -> str:
    """The page; whatever is not our own markup is escaped. Raises DataError for a picture that cannot be read."""
    counts = Counter(suspect.kind for suspect in findings.suspects)
    return render_page(
        "page.html.jinja",
        ("frcnn.suspects", "."),
        ("frcnn.evaluation.reporting", "page"),
        say=say,
        title=say("page.title", name=", ".join(path.name or str(path) for path in findings.data)),
        lines=findings.lines(say),
        kinds=[(kind, counts[kind]) for kind in RULES if counts[kind]],
        cards=[_card(suspect, dataset, say) for suspect in findings.suspects],
        annotated=css(ANNOTATED),
        proposed=css(PROPOSED),
    )


def _card(suspect: Suspect, dataset: Dataset, say: Texts) -> Card:
    picture = crop(read_picture(suspect.picture), suspect, _others(suspect, dataset))
    return Card(
        suspect.rank,
        suspect.kind,
        base64.b64encode(jpeg(picture)).decode("ascii"),
        picture.size,
        say("page.suspicion", percent=round(100 * suspect.suspicion)),
        suspect.remedy_in_words(say),
        " · ".join(_details(suspect, say)),
    )


def _others(suspect: Suspect, dataset: Dataset) -> list[Box]:
    """What else is annotated in the picture."""
    row = None if suspect.annotated is None else suspect.annotated.row
    boxes = dataset.examples[suspect.picture_number].target.boxes.tolist()
    return [box for number, box in enumerate(boxes) if number != row]


def _details(suspect: Suspect, say: Texts) -> list[str]:
    """Where it stands; the picture is named where its annotation is called otherwise."""
    place = {} if suspect.annotated is None else suspect.annotated.place._asdict()
    return [
        f"{suspect.annotation.parent.name}/{suspect.annotation.name}",
        *([suspect.picture.name] if suspect.picture.stem != suspect.annotation.stem else []),
        *(say(f"place.{name}", number=number) for name, number in place.items() if number is not None),
    ]
