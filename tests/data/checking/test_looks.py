"""Looking at pictures: what is wrong with a file is found, however little of it is decoded."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from data_sets import HEIGHT, WIDTH, picture
from PIL import Image
from plants import turn

from frcnn.data.checking.looks import digest_of, look_at, look_at_all


def test_a_photo(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    picture(1).save(path)
    look = look_at(path, b"x")
    assert (look.digest, look.problem, look.stored, look.seen) == (b"x", "", (HEIGHT, WIDTH), (HEIGHT, WIDTH))
    assert (look.orientation, look.mode, look.frames) == (1, "RGB", 1)


@pytest.mark.parametrize("size", [(300, 400), (2000, 3000)])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.97])
def test_a_torn_file(tmp_path: Path, size: tuple[int, int], progressive: bool, share: float) -> None:
    """Of large ones too, of which the decoder gives an eighth: it has to read the whole file nevertheless."""
    path = tmp_path / "a.jpg"
    picture(1).resize(size).save(path, progressive=progressive)
    assert not look_at(path, b"").problem
    content = path.read_bytes()
    path.write_bytes(content[: round(share * len(content))])
    assert "truncated" in look_at(path, b"").problem


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", "is no picture"), (b"<html>", "is no picture"), (b"\xff\xd8\xff", "is no picture")],
)
def test_no_picture(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    assert look_at(path, b"").problem == problem


@pytest.mark.parametrize(("orientation", "sideways"), [(3, False), (6, True)])
def test_a_turned_one(tmp_path: Path, orientation: int, sideways: bool) -> None:
    """Its thumbnail is upright."""
    path, upright = tmp_path / "a.jpg", tmp_path / "b.png"
    picture(1).save(path, quality=95)
    turn(path, orientation)
    picture(1).rotate({3: 180, 6: -90}[orientation], expand=True).save(upright)
    turned, straight = look_at(path, b""), look_at(upright, b"")
    assert turned.stored == (HEIGHT, WIDTH)
    assert turned.seen == straight.seen == ((WIDTH, HEIGHT) if sideways else (HEIGHT, WIDTH))
    assert turned.thumbnail is not None
    assert straight.thumbnail is not None
    assert np.abs(turned.thumbnail.astype(int) - straight.thumbnail).max() < 12  # JPEG's noise


def test_a_turned_tiff(tmp_path: Path) -> None:
    """Pillow turns it by itself, once it is loaded."""
    path = tmp_path / "a.tif"
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(1).save(path, exif=exif)
    look = look_at(path, b"")
    assert (look.orientation, look.stored, look.seen) == (6, (HEIGHT, WIDTH), (WIDTH, HEIGHT))


def test_a_reduced_one_is_like_the_whole(tmp_path: Path) -> None:
    """Although the decoder's eighths do not end where the picture does."""
    large = picture(1).resize((1027, 771))
    large.save(tmp_path / "a.jpg", quality=95)
    large.save(tmp_path / "a.png")
    reduced, whole = (look_at(tmp_path / name, b"").thumbnail for name in ("a.jpg", "a.png"))
    assert reduced is not None
    assert whole is not None
    assert np.abs(reduced.astype(int) - whole).max() <= 4  # of 255: JPEG's noise, and another way to make it smaller


def test_the_same_bytes_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        picture(name == "c").save(tmp_path / f"{name}.jpg")
    decoded = []
    look = look_at
    monkeypatch.setattr("frcnn.data.checking.looks.look_at", lambda path, d: decoded.append(path.name) or look(path, d))
    paths, steps = [tmp_path / f"{name}.jpg" for name in ("a", "b", "c", "a")], []
    looks = look_at_all(paths, progress=lambda done, of: steps.append((done, of)))
    assert decoded == ["a.jpg", "c.jpg"]
    assert looks[paths[0]] is looks[paths[1]]
    assert steps == [(1, 3), (2, 3), (3, 3)]


def test_files_that_cannot_be_read_are_not_the_same(tmp_path: Path) -> None:
    assert digest_of(tmp_path / "absent") != digest_of(tmp_path / "gone")


def deep_png(size: tuple[int, int]) -> bytes:
    """A grey sheet in colours of 16 bits, which Pillow reads and does not write."""
    height, width = size
    rows = (b"\0" + b"\x80\x00" * 3 * width) * height
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_more_than_8_bits_a_channel(tmp_path: Path) -> None:
    (tmp_path / "colours.png").write_bytes(deep_png((HEIGHT, WIDTH)))
    Image.fromarray(np.full((HEIGHT, WIDTH), 999, np.uint16)).save(tmp_path / "grey.png")
    Image.fromarray(np.full((HEIGHT, WIDTH), 0.5, np.float32)).save(tmp_path / "floats.tif")
    picture(1).save(tmp_path / "usual.png")
    looks = {path.stem: look_at(path, b"") for path in tmp_path.iterdir()}
    assert all(not look.problem for look in looks.values())
    assert {name: look.is_deep for name, look in looks.items()} == {
        "colours": True,
        "grey": True,
        "floats": True,
        "usual": False,
    }
