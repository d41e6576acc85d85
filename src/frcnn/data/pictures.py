"""Pictures of any kind of file, as a person sees them: upright, in colour, 8 bits a channel, on white.

H, W = height and width of the picture.
"""

import os
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from frcnn.errors import DataError

ORIENTATION = 0x0112  # the EXIF tag: how a camera was held
TURNS = {  # what each of its values asks for; 1 is upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = frozenset({5, 6, 7, 8})  # those that swap width and height
MAX_8_BIT, MAX_16_BIT = 255, 65535
REDUCTIONS = (8, 4, 2)  # by what JPEG's decoder can divide the sides of a picture


def read_picture(path: Path) -> Image.Image:
    """The picture in `path` as a person sees it, RGB. Raises DataError where there is none or it is broken."""
    with opened_picture(path) as image:
        return as_seen(image)


def read_reduced_picture(path: Path, reduction: int) -> Image.Image:
    """What `read_picture` gives with its sides divided by 2, 4 or 8 and rounded up, for a fraction of the work.

    JPEG's decoder does it where it can; else squares of pixels are averaged. Raises DataError.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"a picture is reduced by 2, 4 or 8, not by {reduction}")
    with opened_picture(path) as image:
        rest = reduction // _reduced_by_decoder(image, reduction)
        seen = as_seen(image)
        return seen if rest == 1 else seen.reduce(rest)


def read_size(path: Path) -> tuple[int, int]:
    """(height, width) of what `read_picture` gives, from the file's header alone. Raises DataError."""
    with opened_picture(path) as image:
        late = image.format == "PNG" and _has_late_metadata(path)
        # A PNG looks for its orientation behind the pixels, and so decodes them: only where something is there.
        read_exif = image.getexif if late or image.format != "PNG" else partial(Image.Image.getexif, image)
        sideways = _orientation(read_exif) in SIDEWAYS
        if sideways and image.format == "TIFF":
            image.load()  # it turns by itself, see `as_seen`
            sideways = False
        return (image.width, image.height) if sideways else (image.height, image.width)


def as_seen(image: Image.Image) -> Image.Image:
    """A copy in RGB: turned as its EXIF data ask, see-through parts on white, 16 bits scaled to 8.

    Doing it twice changes nothing: what asked for the turn is not kept.
    """
    image.load()  # first, as a TIFF turns by itself when it is loaded, and then asks for no more
    turn = TURNS.get(orientation_of(image))
    seen = _in_colour(image)
    seen.info = {}
    return seen if turn is None else seen.transpose(turn)


def orientation_of(image: Image.Image) -> int:
    """How the camera was held, by the EXIF data: 1 is upright. A TIFF that was loaded is."""
    return _orientation(image.getexif)


def to_tensor(image: Image.Image) -> Float[Tensor, "3 H W"]:
    """An RGB picture as the model takes it: float32 in [0, 1]."""
    return as_floats(to_bytes(image))


def to_bytes(image: Image.Image) -> UInt8[Tensor, "3 H W"]:
    """An RGB picture as a tensor, still in bytes: a quarter of the memory."""
    if image.mode != "RGB":
        raise ValueError(f"the picture must be RGB, not {image.mode}: see as_seen")
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)  # (H, W, 3) -> (3, H, W), which stays channels last


def as_floats(pixels: UInt8[Tensor, "3 H W"]) -> Float[Tensor, "3 H W"]:
    """Bytes to float32 in [0, 1]."""
    return pixels.to(torch.float32).div_(255)


@contextmanager
def opened_picture(path: Path) -> Iterator[Image.Image]:
    """The file of a picture, open; whatever fails in it or within the block becomes one line that names the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, which do not change what is seen
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                yield image
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such picture") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{path}: holds more than {Image.MAX_IMAGE_PIXELS} pixels: make it smaller") from error
    except Image.UnidentifiedImageError as error:
        raise DataError(f"{path}: is no picture") from error
    except Exception as error:  # Pillow's decoders raise what they please on broken files
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DataError(f"{path}: cannot be read as a picture ({reason.splitlines()[0]})") from error


def _reduced_by_decoder(image: Image.Image, reduction: int) -> int:
    """Asks the decoder to reduce, and tells by how much it will: never by more than asked; but for JPEG, by 1."""
    width, height = image.size
    drafted = image.draft("RGB", (max(1, width // reduction), max(1, height // reduction)))
    return 1 if drafted is None else round(width / drafted[1][2])  # the width it gives, before it is rounded up


def _orientation(read_exif: Callable[[], Image.Exif]) -> int:
    """How the camera was held; broken EXIF data say nothing, and break no picture."""
    try:
        value = read_exif().get(ORIENTATION, 1)
    except (SyntaxError, ValueError, struct.error):
        return 1
    return value if isinstance(value, int) else 1


def _in_colour(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return _to_8_bits(np.asarray(image).astype(np.float64), image.mode)
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")  # a copy, where it is RGB already


def _to_8_bits(values: Float[np.ndarray, "H W"], mode: str) -> Image.Image:
    """Grey of 16 or 32 bits, by the least of the usual ranges that holds it; by its own where none does."""
    low, high = float(values.min()), float(values.max())
    if not np.isfinite((low, high)).all():
        raise ValueError("a pixel is not finite")
    ranges = {"I": (MAX_8_BIT, MAX_16_BIT), "F": (1, MAX_8_BIT)}.get(mode, (MAX_16_BIT,))  # else I;16 of any byte order
    white = next((white for white in ranges if low >= 0 and high <= white), None)
    black, white = (0, white) if white is not None else (low, high)
    grey = np.rint((values - black) / ((white - black) or 1) * 255).clip(0, 255).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


def _has_late_metadata(path: Path) -> bool:
    """Does a PNG hold text or EXIF data behind its pixels? Walks over its chunks: length, kind, content, checksum."""
    behind_pixels = False
    with path.open("rb") as file:
        file.seek(8)  # the signature
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            behind_pixels |= kind == b"IDAT"
            if behind_pixels and kind in (b"eXIf", b"iTXt", b"tEXt", b"zTXt"):
                return True
            file.seek(length + 4, os.SEEK_CUR)
    return False
