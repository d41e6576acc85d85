"""What all tests share. The shapes in the types are checked from here on: before frcnn is first imported."""

from jaxtyping import install_import_hook

install_import_hook("frcnn", "typechecking.checked")

import os  # noqa: E402
import signal  # noqa: E402
from collections.abc import Callable, Iterator, Sequence  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402

from frcnn import drawing  # noqa: E402

torch.set_num_threads(1)  # the same sums on every machine, and room for the others
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it runs in the background ignore Ctrl-C

Corners = tuple[float, float, float, float]
VocObjects = Sequence[tuple[str, Corners] | tuple[str, Corners, bool]]
MakeVoc = Callable[..., Path]


@pytest.fixture(scope="session", autouse=True)
def _indices_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is kept of data sets is the tests' own."""
    os.environ["FRCNN_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def without_fonts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A system that has none for other scripts."""
    monkeypatch.setattr(drawing, "SYSTEM_FONTS", ())
    drawing.label_font.cache_clear()
    yield
    drawing.label_font.cache_clear()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data: FRCNN_SHARED, or `../shared` beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("FRCNN_SHARED", beside))
    if not (folder / "data").is_dir():
        pytest.skip(f"no real data: {folder / 'data'} does not exist (set FRCNN_SHARED)")
    return folder


@pytest.fixture
def make_voc(tmp_path: Path) -> MakeVoc:
    """Writes a small VOC set: `make_voc({"a": [("cat", (1, 1, 20, 30))]}, splits={"train": ["a"]})` gives its folder.

    Boxes are VOC's own numbers (1-based, the last pixel included), a third entry says difficult. `size` is
    (height, width) of all pictures, or a dict by id; pictures are noise drawn from their number. Without `splits` there
    is no ImageSets. `name` is a path below the test's folder.
    """

    def make(
        pictures: dict[str, VocObjects],
        splits: dict[str, Sequence[str]] | None = None,
        size: tuple[int, int] | dict[str, tuple[int, int]] = (48, 64),
        name: str = "VOC2007",
    ) -> Path:
        root = tmp_path / name
        for folder in ("Annotations", "JPEGImages"):
            (root / folder).mkdir(parents=True)
        for number, (identity, objects) in enumerate(pictures.items()):
            height, width = size[identity] if isinstance(size, dict) else size
            pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / "JPEGImages" / f"{identity}.jpg", quality=95)
            (root / "Annotations" / f"{identity}.xml").write_text(voc_xml(objects), encoding="utf-8")
        for split, ids in (splits or {}).items():
            (root / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
            (root / "ImageSets" / "Main" / f"{split}.txt").write_text("".join(f"{i}\n" for i in ids), encoding="utf-8")
        return root

    return make


@pytest.fixture
def voc_set(make_voc: MakeVoc) -> Path:
    """Six pictures with two classes: four in trainval, two in test; one is tall, one has no object."""
    pictures = {
        "000001": [("cat", (11, 6, 40, 50)), ("dog", (50, 10, 75, 40))],
        "000002": [("dog", (1, 1, 80, 60))],
        "000003": [("cat", (5, 5, 55, 75))],
        "000004": [],
        "000005": [("cat", (20, 20, 60, 55))],
        "000006": [("dog", (30, 10, 70, 50)), ("cat", (2, 2, 20, 30))],
    }
    names = list(pictures)
    sizes = dict.fromkeys(names, (60, 80)) | {"000003": (80, 60)}
    return make_voc(pictures, splits={"trainval": names[:4], "test": names[4:]}, size=sizes)


def voc_xml(objects: VocObjects) -> str:
    """An annotation with no more in it than is required."""
    parts = []
    for name, corners, *difficult in objects:
        tags = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
        box = "".join(f"<{tag}>{value}</{tag}>" for tag, value in tags)
        extra = "<difficult>1</difficult>" if any(difficult) else ""
        parts.append(f"<object><name>{name}</name>{extra}<bndbox>{box}</bndbox></object>\n")
    return f"<annotation>\n{''.join(parts)}</annotation>\n"
