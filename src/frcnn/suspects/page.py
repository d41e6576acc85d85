"""suspects.html: each suspicious annotation with a picture, on one page that needs nothing outside it."""

import base64
import io
from collections import Counter
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from jinja2 import Environment, StrictUndefined, Template
from PIL import Image

from frcnn.data.dataset import Dataset
from frcnn.data.pictures import read_picture
from frcnn.suspects.crops import ANNOTATED, PROPOSED, crop
from frcnn.suspects.findings import Suspects
from frcnn.suspects.ranking import SHARES
from frcnn.suspects.suspect import Box, Suspect
from frcnn.suspects.words import WORDS, Language

JPEG_QUALITY = 75


class Card(NamedTuple):
    """A suspicion on the page."""

    suspect: Suspect
    jpeg: str  # base64
    size: tuple[int, int]  # (width, height)
    percent: int
    file: str
    details: str
    remedy: str


def page(findings: Suspects, dataset: Dataset, language: Language) -> str:
    """The page; whatever is not our own markup is escaped. Raises DataError for a picture that cannot be read."""
    words = WORDS[language]
    counts = Counter(suspect.kind for suspect in findings.suspects)
    values: dict[str, Any] = {
        "words": words,
        "language": language,
        "name": ", ".join(path.name or str(path) for path in findings.data),
        "lines": findings.lines(language),
        "kinds": [(kind, words[kind], counts[kind]) for kind in SHARES if counts[kind]],
        "cards": [_card(suspect, dataset, language) for suspect in findings.suspects],
        "annotated": "rgb({}, {}, {})".format(*ANNOTATED),
        "proposed": "rgb({}, {}, {})".format(*PROPOSED),
    }
    return _template().render(values)


@cache
def _template() -> Template:
    text = (resources.files("frcnn.suspects") / "page.html.jinja").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(text)


def _card(suspect: Suspect, dataset: Dataset, language: Language) -> Card:
    picture = crop(
        read_picture(suspect.picture), suspect.annotated_box, suspect.proposed_box, _others(suspect, dataset)
    )
    return Card(
        suspect,
        _jpeg(picture),
        picture.size,
        round(100 * suspect.suspicion),
        f"{suspect.annotation.parent.name}/{suspect.annotation.name}",
        _details(suspect, language),
        suspect.say(language),
    )


def _others(suspect: Suspect, dataset: Dataset) -> list[Box]:
    """What else is annotated in the picture."""
    boxes = [
        tuple(round(corner, 2) for corner in box)
        for box in dataset.examples[suspect.picture_number].target.boxes.tolist()
    ]
    return [box for box in boxes if box != suspect.annotated_box]


def _details(suspect: Suspect, language: Language) -> str:
    """Which object, and how sure the model is."""
    words, place = WORDS[language], suspect.place
    parts = [suspect.picture.name]
    if place is not None:
        numbers = {"object": place.number, "line": place.line, "identity": place.identity}
        keys = {"object": "number"}
        parts += [
            words[key].format(**{keys.get(key, key): number}) for key, number in numbers.items() if number is not None
        ]
    if suspect.score is not None:
        parts.append(words["score"].format(score=suspect.score))
    return " · ".join(parts)


def _jpeg(picture: Image.Image) -> str:
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=JPEG_QUALITY, subsampling=0)  # whole colours: thin lines stay clean
    return base64.b64encode(data.getvalue()).decode("ascii")
