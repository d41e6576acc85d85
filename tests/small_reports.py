"""An evaluation with one picture for each thing that can become of a detection, for the tests of the report."""

from html.parser import HTMLParser
from pathlib import Path

from judged import Box, detections, target
from PIL import Image

from frcnn.data.dataset import Dataset, Example
from frcnn.evaluation.average_precision import evaluate_detections
from frcnn.evaluation.reporting.evaluated import Evaluated
from frcnn.evaluation.results import Evaluation
from frcnn.structures import Detections, Target

NAMES = ("cat", "<script>alert(1)</script>", "eel")
CAT, SCRIPT, EEL = range(3)
HERE: Box = (4.0, 4.0, 30.0, 30.0)
UPPER_PART: Box = (4.0, 4.0, 30.0, 14.0)  # of HERE: an IoU of 5/13, .38
ELSEWHERE: Box = (40.0, 10.0, 60.0, 40.0)
DUPLICATE, LOCALISATION, CLASS, BOTH, BACKGROUND, IGNORED, EMPTY, FAULTLESS = range(8)  # the pictures
THRESHOLD = 0.625  # the score of the last right detection: there F1 is best

FOUND_AND_THERE = {
    DUPLICATE: ([(HERE, 0.875, CAT), (HERE, 0.8125, CAT)], [(HERE, CAT, False)]),
    LOCALISATION: ([(UPPER_PART, 0.84375, CAT)], [(HERE, CAT, False)]),
    CLASS: ([(HERE, 0.6875, CAT)], [(HERE, EEL, False)]),
    BOTH: ([(UPPER_PART, 0.75, CAT)], [(HERE, EEL, False)]),
    BACKGROUND: ([(ELSEWHERE, 0.9375, CAT)], []),
    IGNORED: (
        [(ELSEWHERE, 0.71875, CAT), (HERE, 0.65625, SCRIPT), (HERE, 0.25, EEL)],
        [(HERE, SCRIPT, False), (ELSEWHERE, CAT, True)],
    ),
    EMPTY: ([], []),
    FAULTLESS: ([(HERE, THRESHOLD, EEL)], [(HERE, EEL, False)]),
}


class Page(HTMLParser):
    """What a reader of the page needs to be told in a test. Every tag that is opened must be closed, in its turn."""

    VOID = ("meta", "img", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of all tags of a name."""
        return [attributes for name, attributes in self.tags if name == tag]


def an_evaluated(folder: Path) -> Evaluated:
    """The pictures, on the disk, and what was found in them."""
    pairs: list[tuple[Detections, Target]] = [
        (detections(*found, names=NAMES), target(*there)) for found, there in FOUND_AND_THERE.values()
    ]
    folder.mkdir(exist_ok=True)
    examples = []
    for number, (_, truth) in enumerate(pairs):
        path = folder / f"{number}.png"
        Image.new("RGB", (64, 48), (90, 120, 60)).save(path)
        examples.append(Example(path, folder / f"{number}.xml", (48, 64), truth))
    found, targets = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    result = evaluate_detections(found, targets, NAMES)
    losses = {"rpn_objectness": 0.125, "total": 1.5}
    return Evaluated(Dataset(tuple(examples), NAMES), Evaluation(result, tuple(found), losses, 0.05, 0.2), "test")
