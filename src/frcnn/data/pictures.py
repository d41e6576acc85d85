"""Pictures of any kind, read as a person sees them: upright, in colour, eight bits a channel, on white."""

import warnings
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from frcnn.errors import DataError

ROTATED_BY_EXIF = {5, 6, 7, 8}  # orientations in which width and height are exchanged
ORIENTATION_TAG = 0x0112


def read_picture(path: Path | str) -> Image.Image:
    """The picture as RGB. Raises DataError, naming the file, where it is absent, truncated or no picture."""
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # twice the size is an error, still
            with Image.open(path) as picture:
                picture.load()
                return as_seen(picture)
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such picture") from error
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: is no picture that can be read") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: says it is larger than any honest picture ({error})") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # what Pillow raises on damaged files
        raise DataError(f"{path}: is damaged or truncated ({error}): replace or remove it") from error


def read_size(path: Path | str) -> tuple[int, int]:
    """(height, width) of the picture as seen, from its header alone. Raises DataError as `read_picture` does."""
    path = Path(path)
    try:
        with Image.open(path) as picture:
            width, height = picture.size
            turned = picture.getexif().get(ORIENTATION_TAG) in ROTATED_BY_EXIF
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such picture") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: is no picture that can be read ({error})") from error
    return (width, height) if turned else (height, width)


def as_seen(picture: Image.Image) -> Image.Image:
    """Turned as EXIF says, 16 bits brought to 8, transparency laid on white, converted to RGB."""
    upright = ImageOps.exif_transpose(picture)
    if upright.mode.startswith("I") or upright.mode == "F":
        upright = _to_eight_bits(upright)
    if upright.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in upright.info:
        upright = upright.convert("RGBA")
        white = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(white, upright)
    return upright.convert("RGB")


def to_tensor(picture: Image.Image) -> Float[Tensor, "3 H W"]:
    """An RGB picture as float32 in [0, 1]."""
    pixels = torch.from_numpy(np.array(picture, dtype=np.uint8))  # (H, W, 3)
    return pixels.permute(2, 0, 1).contiguous().float().div_(255)


def _to_eight_bits(picture: Image.Image) -> Image.Image:
    """Wide integers are 16-bit values unless they fit into 8; floats are in [0, 1] unless they are not."""
    values = np.asarray(picture).astype(np.float64)
    largest = float(values.max()) if values.size else 0.0
    if picture.mode == "F":
        scale = 255.0 if largest <= 1 else 1.0
    else:
        scale = 255.0 / 65535.0 if picture.mode.startswith("I;16") or largest > 255 else 1.0
    return Image.fromarray((values * scale).round().clip(0, 255).astype(np.uint8))
