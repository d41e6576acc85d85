"""What writers of data sets are given, picture by picture, whatever the format it came from."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

WRITTEN = 4  # digits of a pixel


class Entry(NamedTuple):
    """One picture and its objects, O of them."""

    name: str  # of its file, told apart from all others by what stands before the suffix
    split: str
    size: tuple[int, int]  # (height, width)
    corners: Sequence[Sequence[float]]  # (x1, y1, x2, y2), half-open, not clipped
    class_ids: Sequence[int]
    flags: Sequence[int]  # DIFFICULT, CROWD
    areas: Sequence[float]  # NaN where nobody has said them
    identity: int
    object_identities: Sequence[int]

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return Path(self.name).stem


@runtime_checkable
class Writer(Protocol):
    """Writes a data set into a folder. It is whole once `finish` was called."""

    folder: Path
    keeps_flags: bool  # can the format say that an object is difficult, or a crowd?

    def picture(self, entry: Entry) -> Path:
        """Where the picture's file belongs."""
        ...

    def add(self, entry: Entry) -> None:
        """Write the objects of a picture."""
        ...

    def finish(self) -> None:
        """Write what stands over all pictures."""
        ...


def rounded(number: float, digits: int = WRITTEN) -> float:
    """Without the noise that float32 brings: a ten-thousandth of a pixel is nobody's business."""
    return round(number, digits) + 0.0  # no -0
