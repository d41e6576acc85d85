"""Pictures stored anew: upright, in colour, 8 bits a channel; and where their boxes come to lie."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from frcnn.data.checking.statements import Size
from frcnn.data.pictures import as_seen, opened_picture

SEVERAL_VIEWS = "MPO"  # of which the first, a JPEG, is kept
OPTIONS = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}

Corners = Float[np.ndarray, "G 4"]


def store_upright(source: Path, target: Path) -> None:
    """What `read_picture` gives of `source`, in a file of the same format. Raises DataError, OSError."""
    with opened_picture(source) as image:
        kind = "JPEG" if image.format == SEVERAL_VIEWS else image.format or "PNG"
        profile = image.info.get("icc_profile") if image.mode == "RGB" else None
        seen = as_seen(image)
    seen.save(target, format=kind, icc_profile=profile, **OPTIONS.get(kind, {}))


def turn_boxes(corners: Corners, orientation: int, stored: Size) -> Corners:
    """Boxes on the pixels as they are stored, moved to where EXIF's orientation puts these pixels."""
    height, width = stored
    x1, y1, x2, y2 = corners.T
    turned = {
        2: (width - x2, y1, width - x1, y2),
        3: (width - x2, height - y2, width - x1, height - y1),
        4: (x1, height - y2, x2, height - y1),
        5: (y1, x1, y2, x2),
        6: (height - y2, x1, height - y1, x2),
        7: (height - y2, width - x2, height - y1, width - x1),
        8: (y1, width - x2, y2, width - x1),
    }
    return np.stack(turned.get(orientation, (x1, y1, x2, y2)), axis=1)
