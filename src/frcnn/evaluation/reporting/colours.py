"""What each kind of error looks like: in pictures, legends and tables."""

from frcnn.drawing import Colour
from frcnn.evaluation.error_types import Verdict

KIND_COLOURS: dict[str, Colour] = {
    Verdict.RIGHT.key: (60, 200, 90),
    Verdict.DUPLICATE.key: (255, 225, 25),
    Verdict.LOCALISATION.key: (70, 150, 255),
    Verdict.CLASS.key: (240, 80, 230),
    Verdict.BOTH.key: (165, 105, 255),
    Verdict.BACKGROUND.key: (240, 45, 60),
    Verdict.IGNORED.key: (170, 170, 170),
    "missed": (255, 130, 15),
}
