"""What the files of the pictures are: each decoded whole once, so that a torn one is found, and made small."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageFile

from frcnn.data.checking.statements import Size
from frcnn.data.pictures import SIDEWAYS, as_seen, opened_picture, orientation_of
from frcnn.errors import DataError
from frcnn.progress import Advance

SIDE = 32  # pixels of a thumbnail: enough to tell photos apart, see `likeness`
LEAST_DECODED = 128  # pixels a side: JPEG's decoder may skip the finest detail, yet reads and checks all of the file
UPRIGHT = 1
SEVERAL_VIEWS = "MPO"  # a camera's JPEG with a preview or a second lens behind: the first is the picture


@dataclass(frozen=True)
class Look:
    """One picture's file."""

    digest: bytes = b""  # of the file; the same bytes, the same picture
    problem: str = ""  # why it cannot be decoded
    stored: Size = (0, 0)  # (height, width) as the pixels lie in the file
    orientation: int = UPRIGHT  # as EXIF has it
    mode: str = "RGB"  # as Pillow has it
    is_deep: bool = False  # more than 8 bits a channel
    frames: int = 1
    thumbnail: UInt8[np.ndarray, "32 32"] | None = None  # grey, upright

    @property
    def seen(self) -> Size:
        """(height, width) as a person sees it, and as training reads it."""
        height, width = self.stored
        return (width, height) if self.orientation in SIDEWAYS else (height, width)


def look_at_all(
    paths: Sequence[Path], known: dict[bytes, Look] | None = None, progress: Advance | None = None
) -> dict[Path, Look]:
    """Each file that is there; none is decoded whose bytes are `known`, by their digest."""
    known = {} if known is None else known
    looks: dict[Path, Look] = {}
    different = list(dict.fromkeys(paths))
    for number, path in enumerate(different, start=1):
        digest = digest_of(path)
        looks[path] = known[digest] if digest in known else look_at(path, digest)
        known[digest] = looks[path]
        if progress is not None:
            progress(number, len(different))
    return looks


def digest_of(path: Path) -> bytes:
    """Of a file's bytes; of one that cannot be read, a digest of its name, as looking at it tells why."""
    digest = hashlib.blake2b(digest_size=16)
    try:
        with path.open("rb") as file:
            while part := file.read(1 << 20):
                digest.update(part)
    except OSError:
        digest.update(b"\0" + str(path).encode("utf-8", "surrogateescape"))
    return digest.digest()


def look_at(path: Path, digest: bytes) -> Look:
    """Decode a picture. What is wrong with it is an answer, not an exception."""
    try:
        with opened_picture(path) as image:
            mode, deep = image.mode, _is_deep(image)  # as loading changes them, and a PNG loads to tell how it was held
            orientation = orientation_of(image)
            height, width = _stored_size(image, orientation)
            frames = 1 if image.format == SEVERAL_VIEWS else int(getattr(image, "n_frames", 1))
            image.draft("L", (LEAST_DECODED, LEAST_DECODED))
            thumbnail = _thumbnail(as_seen(image), (height, width), orientation)
    except DataError as refusal:
        return Look(digest, problem=str(refusal).removeprefix(f"{path}: "))
    return Look(digest, "", (height, width), orientation, mode, deep, frames, thumbnail)


def _is_deep(image: Image.Image) -> bool:
    """Has a picture more than 8 bits a channel? Of colours Pillow drops the rest: only how it unpacks them tells."""
    tiles = image.tile if isinstance(image, ImageFile.ImageFile) else []
    return image.mode.startswith(("I", "F")) or any(";16" in str(tile[3]) for tile in tiles)


def _stored_size(image: Image.Image, orientation: int) -> Size:
    """Of the pixels as they lie in the file; a TIFF turns by itself, some versions even before it is loaded."""
    if image.format == "TIFF" and orientation in SIDEWAYS:
        image.load()
        return image.width, image.height
    return image.height, image.width


def _thumbnail(seen: Image.Image, stored: Size, orientation: int) -> UInt8[np.ndarray, "32 32"]:
    """Small and grey; of a reduced picture without the part of a pixel that its decoder adds at the right and below."""
    height, width = stored[::-1] if orientation in SIDEWAYS else stored
    factor = max(1, round(width / seen.width))
    box = (0, 0, min(seen.width, width / factor), min(seen.height, height / factor))
    return np.asarray(seen.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR, box))
