"""Built-in sample data: pictures drawn from a seed, in the layout of PASCAL VOC. Nothing is fetched."""

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image

from frcnn.data.scenes import Thing, draw_scene
from frcnn.errors import UsageError
from frcnn.files import folder_written_whole

PICTURES = 1200  # 1000 to train on, 60 to validate on, 140 to test on
SHARES = (("val", 60 / PICTURES), ("test", 140 / PICTURES))  # train has the rest
QUALITY = 92  # of the JPEG files


def write_sample(folder: Path, pictures: int = PICTURES, seed: int = 0) -> Path:
    """Draw a data set into `folder`, which must be new or empty: the same files for the same seed.

    It is there whole or not at all. Raises UsageError where something is in the way, FrcnnError where the disk refuses.
    """
    if pictures < 3:
        raise UsageError(f"a sample of {pictures} pictures has no three splits: ask for 3 or more")
    if seed < 0:
        raise UsageError(f"seed must be at least 0, not {seed}")
    with folder_written_whole(folder) as aside:
        for name in ("Annotations", "ImageSets/Main", "JPEGImages"):
            (aside / name).mkdir(parents=True)
        identities = [f"{number:06d}" for number in range(1, pictures + 1)]
        for number, identity in enumerate(identities):
            image, things = draw_scene(np.random.default_rng([seed, number]))  # each picture has a seed of its own
            image.save(aside / "JPEGImages" / f"{identity}.jpg", quality=QUALITY)
            xml = annotation_xml(f"{identity}.jpg", image, things)
            (aside / "Annotations" / f"{identity}.xml").write_text(xml, encoding="utf-8")
        for split, members in _splits(identities).items():
            lines = "".join(f"{identity}\n" for identity in members)
            (aside / "ImageSets" / "Main" / f"{split}.txt").write_text(lines, encoding="utf-8")
    return folder


def annotation_xml(picture: str, image: Image.Image, things: Sequence[Thing]) -> str:
    """An annotation as VOC writes it: boxes in 1-based pixels, the last one included."""
    size = f"<width>{image.width}</width><height>{image.height}</height><depth>3</depth>"
    head = f"\t<filename>{escape(picture)}</filename>\n\t<size>{size}</size>\n"
    return f"<annotation>\n{head}{''.join(map(_object_xml, things))}</annotation>\n"


def _object_xml(thing: Thing) -> str:
    x1, y1, x2, y2 = thing.box
    box = f"<xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
    flags = f"<truncated>{thing.truncated:d}</truncated><difficult>{thing.difficult:d}</difficult>"
    return f"\t<object>\n\t\t<name>{escape(thing.name)}</name>{flags}\n\t\t<bndbox>{box}</bndbox>\n\t</object>\n"


def _splits(identities: list[str]) -> dict[str, list[str]]:
    """Every picture is drawn independently of the others, so that the order is as good as a shuffle."""
    counts = {split: max(1, round(share * len(identities))) for split, share in SHARES}
    val, test = counts["val"], counts["test"]
    train = len(identities) - val - test
    parts = {"train": identities[:train], "val": identities[train : train + val], "test": identities[train + val :]}
    return parts | {"trainval": identities[: train + val]}
