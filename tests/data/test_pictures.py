"""Pictures of every kind of file, by hand: what a person would see."""

import struct
import zlib
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, ImageFilter, ImageOps, JpegImagePlugin, PngImagePlugin

from frcnn.data.pictures import (
    ORIENTATION,
    REDUCTIONS,
    TURNS,
    as_floats,
    as_seen,
    read_picture,
    read_reduced_picture,
    read_size,
    to_bytes,
    to_tensor,
)
from frcnn.errors import DataError

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


@pytest.fixture
def corners() -> Image.Image:
    """Two rows and three columns, each pixel another colour."""
    pixels = np.array([[RED, GREEN, BLUE], [WHITE, BLACK, (10, 20, 30)]], dtype=np.uint8)
    return Image.fromarray(pixels)


def seen(path) -> np.ndarray:
    """As `read_picture` gives it; its size is told beforehand."""
    picture = read_picture(path)
    assert picture.mode == "RGB"
    assert read_size(path) == (picture.height, picture.width)
    return np.asarray(picture)


class TestModes:
    def test_rgb_stays(self, tmp_path, corners):
        corners.save(tmp_path / "a.png")
        assert np.array_equal(seen(tmp_path / "a.png"), np.asarray(corners))

    def test_grey(self, tmp_path):
        Image.fromarray(np.array([[0, 7, 255]], dtype=np.uint8)).save(tmp_path / "a.png")
        assert seen(tmp_path / "a.png").tolist() == [[[0] * 3, [7] * 3, [255] * 3]]

    def test_black_and_white(self, tmp_path):
        Image.new("1", (2, 1), 1).save(tmp_path / "a.png")
        assert seen(tmp_path / "a.png").tolist() == [[[255] * 3] * 2]

    def test_palette(self, tmp_path, corners):
        corners.quantize(6).save(tmp_path / "a.gif")
        assert np.abs(seen(tmp_path / "a.gif").astype(int) - np.asarray(corners)).max() <= 2

    def test_palette_with_a_see_through_colour(self, tmp_path):
        """See-through is white, whatever colour stands in the palette."""
        image = Image.new("P", (2, 1))
        image.putpalette([*RED, *BLUE])
        image.putpixel((1, 0), 1)
        image.save(tmp_path / "a.png", transparency=0)
        assert seen(tmp_path / "a.png").tolist() == [[list(WHITE), list(BLUE)]]

    @pytest.mark.parametrize(("alpha", "expected"), [(0, WHITE), (255, BLUE), (51, (204, 204, 255))])
    def test_alpha_lies_on_white(self, tmp_path, alpha, expected):
        Image.new("RGBA", (1, 1), (*BLUE, alpha)).save(tmp_path / "a.png")
        assert seen(tmp_path / "a.png")[0, 0].tolist() == list(expected)

    def test_grey_with_alpha(self, tmp_path):
        Image.new("LA", (1, 1), (100, 0)).save(tmp_path / "a.png")
        assert seen(tmp_path / "a.png")[0, 0].tolist() == [255] * 3

    @pytest.mark.parametrize("mode", ["RGB", "L"])
    def test_a_colour_that_counts_as_see_through(self, tmp_path, mode):
        """PNG's tRNS without an alpha channel."""
        colour = (9, 9, 9) if mode == "RGB" else 9
        Image.new(mode, (1, 1), colour).save(tmp_path / "a.png", transparency=colour)
        assert seen(tmp_path / "a.png")[0, 0].tolist() == [255] * 3

    @pytest.mark.parametrize(
        ("ink", "expected"),
        [((0, 0, 0, 0), WHITE), ((0, 0, 0, 255), BLACK), ((0, 255, 255, 0), RED), ((255, 0, 255, 0), GREEN)],
    )
    def test_cmyk(self, tmp_path, ink, expected):
        """Ink on paper: none of it is white. JPEG stores it upside down, which Pillow knows of."""
        Image.new("CMYK", (8, 8), ink).save(tmp_path / "a.jpg", quality=100)
        assert np.abs(seen(tmp_path / "a.jpg").astype(int) - expected).max() <= 2

    @pytest.mark.parametrize("mode", ["YCbCr", "LAB", "HSV"])
    def test_other_colour_spaces(self, mode):
        image = Image.new("RGB", (2, 2), RED)
        if mode == "LAB":
            to_lab = ImageCms.buildTransform(
                ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
            )
            converted = ImageCms.applyTransform(image, to_lab)
            assert converted is not None
        else:
            converted = image.convert(mode)
        assert as_seen(converted).mode == "RGB"

    def test_sixteen_bits(self, tmp_path):
        """Scaled, not cut off at 255: 65535 is white and 32768 is grey."""
        Image.fromarray(np.array([[0, 256, 32768, 65535]], dtype=np.uint16)).save(tmp_path / "a.png")
        assert seen(tmp_path / "a.png")[0, :, 0].tolist() == [0, 1, 128, 255]

    def test_a_dark_picture_of_sixteen_bits_stays_dark(self, tmp_path):
        Image.fromarray(np.array([[0, 257, 514]], dtype=np.uint16)).save(tmp_path / "a.tiff")
        assert seen(tmp_path / "a.tiff")[0, :, 0].tolist() == [0, 1, 2]

    @pytest.mark.parametrize("dtype", [np.float32, np.int32])
    def test_other_ranges_are_stretched(self, tmp_path, dtype):
        Image.fromarray(np.array([[-100, 0, 100]], dtype=dtype)).save(tmp_path / "a.tiff")
        assert seen(tmp_path / "a.tiff")[0, :, 0].tolist() == [0, 128, 255]

    @pytest.mark.parametrize(
        ("values", "dtype", "expected"),
        [
            ([0.0, 0.5, 1.0], np.float32, [0, 128, 255]),
            ([0.0, 51.0, 255.0], np.float32, [0, 51, 255]),
            ([0, 51, 255], np.int32, [0, 51, 255]),
            ([0, 32768, 65535], np.int32, [0, 128, 255]),
            ([7, 7, 7], np.int32, [7, 7, 7]),
            ([-5.0, -5.0, -5.0], np.float32, [0, 0, 0]),  # nothing to stretch
        ],
    )
    def test_the_least_usual_range_that_holds_it(self, tmp_path, values, dtype, expected):
        Image.fromarray(np.array([values], dtype=dtype)).save(tmp_path / "a.tiff")
        assert seen(tmp_path / "a.tiff")[0, :, 0].tolist() == expected

    @pytest.mark.parametrize("number", [np.nan, np.inf])
    def test_a_pixel_that_is_no_number(self, tmp_path, number):
        Image.fromarray(np.array([[0, number]], dtype=np.float32)).save(tmp_path / "a.tiff")
        with pytest.raises(DataError, match=r"a\.tiff: cannot be read as a picture \(a pixel is not finite\)"):
            read_picture(tmp_path / "a.tiff")

    def test_the_first_of_several_frames(self, tmp_path):
        frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, BLUE)]
        frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
        assert seen(tmp_path / "a.gif")[0, 0].tolist() == list(RED)

    @pytest.mark.parametrize("suffix", ["bmp", "webp", "tiff", "ppm", "png", "gif", "jpg"])
    def test_formats(self, tmp_path, suffix):
        Image.new("RGB", (16, 8), (40, 80, 120)).save(tmp_path / f"a.{suffix}")
        assert np.abs(seen(tmp_path / f"a.{suffix}").astype(int) - (40, 80, 120)).max() <= 6


class TestOrientation:
    @pytest.mark.parametrize(
        ("orientation", "expected"),
        [
            (1, ["RGB", "WKN"]),
            (2, ["BGR", "NKW"]),
            (3, ["NKW", "BGR"]),
            (4, ["WKN", "RGB"]),
            (5, ["RW", "GK", "BN"]),
            (6, ["WR", "KG", "NB"]),
            (7, ["NB", "KG", "WR"]),
            (8, ["BN", "GK", "RW"]),
            (99, ["RGB", "WKN"]),  # no such value: as it is
        ],
    )
    @pytest.mark.parametrize("suffix", ["png", "webp", "tiff"])
    def test_upright_by_hand(self, tmp_path, corners, suffix, orientation, expected):
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        options = {"lossless": True} if suffix == "webp" else {}
        corners.save(tmp_path / f"a.{suffix}", exif=exif, **options)
        letters = {RED: "R", GREEN: "G", BLUE: "B", WHITE: "W", BLACK: "K"}
        rows = [
            "".join(letters.get(tuple(pixel), "N") for pixel in row) for row in seen(tmp_path / f"a.{suffix}").tolist()
        ]
        assert rows == expected

    @pytest.mark.parametrize("orientation", sorted(TURNS))
    def test_as_pillow_turns_it(self, corners, orientation):
        """By oracle."""
        corners.getexif()[ORIENTATION] = orientation
        expected = ImageOps.exif_transpose(corners)
        assert np.array_equal(np.asarray(as_seen(corners)), np.asarray(expected))

    def test_twice_is_once(self, corners):
        """By law: the turn is not kept, so it is not done again."""
        corners.getexif()[ORIENTATION] = 6
        once = as_seen(corners)
        assert np.array_equal(np.asarray(as_seen(once)), np.asarray(once))

    def test_a_jpeg_held_sideways(self, tmp_path):
        exif = Image.Exif()
        exif[ORIENTATION] = 6
        Image.new("RGB", (40, 20)).save(tmp_path / "a.jpg", exif=exif)
        assert seen(tmp_path / "a.jpg").shape == (40, 20, 3)

    def test_a_png_that_tells_it_behind_its_pixels(self, tmp_path):
        """EXIF data may come last in a PNG: the size knows of it as well."""
        exif = Image.Exif()
        exif[ORIENTATION] = 6
        path = tmp_path / "a.png"
        Image.new("RGB", (40, 20)).save(path)
        content, raw = path.read_bytes(), exif.tobytes().removeprefix(b"Exif\0\0")
        chunk = struct.pack(">I", len(raw)) + b"eXIf" + raw + struct.pack(">I", zlib.crc32(b"eXIf" + raw))
        path.write_bytes(content[:-12] + chunk + content[-12:])  # before the last chunk
        assert seen(path).shape == (40, 20, 3)

    def test_what_is_handed_in_stays(self, corners):
        corners.getexif()[ORIENTATION] = 3
        before = np.asarray(corners).copy()
        as_seen(corners)
        assert np.array_equal(np.asarray(corners), before)
        assert corners.getexif()[ORIENTATION] == 3


# The decoder leaves out the finest cosines, where an average weighs all pixels: next to nothing in a picture whose
# colours change slowly. Rounding to bytes, in YCbCr and in RGB, adds half a level. Off by one pixel it is 4 and more.
DECODER_TOLERANCE = 1.0


def photo(height: int, width: int) -> Image.Image:
    """Noise so smooth that JPEG keeps it, from black to white."""
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return ImageOps.autocontrast(Image.fromarray(noise).filter(ImageFilter.GaussianBlur(5)))


def mean_difference(one: Image.Image, other: Image.Image) -> float:
    """In levels of 255."""
    assert (one.mode, one.size) == (other.mode, other.size)
    return float(np.abs(np.asarray(one).astype(int) - np.asarray(other)).mean())


class TestReduced:
    def test_squares_are_averaged_by_hand(self, tmp_path):
        """Five columns: two squares, and what is left over by itself."""
        grey = np.array([[0, 10, 100, 100, 7], [20, 30, 200, 200, 9]], dtype=np.uint8)
        Image.fromarray(grey).save(tmp_path / "a.png")
        assert np.asarray(read_reduced_picture(tmp_path / "a.png", 2))[:, :, 0].tolist() == [[15, 150, 8]]

    @pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", "bmp", "gif"])
    @pytest.mark.parametrize(
        ("size", "reduction", "expected"),
        [
            ((48, 64), 2, (24, 32)),
            ((48, 64), 8, (6, 8)),
            ((33, 47), 2, (17, 24)),
            ((33, 47), 4, (9, 12)),
            ((33, 41), 8, (5, 6)),
            ((9, 2), 8, (2, 1)),
            ((1, 1), 4, (1, 1)),
        ],
    )
    def test_sides_are_rounded_up(self, tmp_path, suffix, size, reduction, expected):
        path = tmp_path / f"a.{suffix}"
        Image.new("RGB", (size[1], size[0]), (40, 80, 120)).save(path)
        pixels = np.asarray(read_reduced_picture(path, reduction))
        assert pixels.shape == (*expected, 3)
        assert np.abs(pixels.astype(int) - (40, 80, 120)).max() <= 6  # GIF's palette, JPEG's rounding

    @pytest.mark.parametrize("reduction", REDUCTIONS)
    @pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"progressive": True}], ids=str)
    @pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
    def test_the_decoder_reduces_as_an_average_does(self, tmp_path, mode, options, reduction):
        """By oracle: the whole picture decoded, then averaged; sides that do not divide, too."""
        path = tmp_path / "a.jpg"
        photo(203, 301).convert(mode).save(path, quality=95, **options)
        average = read_picture(path).reduce(reduction)
        assert mean_difference(read_reduced_picture(path, reduction), average) < DECODER_TOLERANCE
        moved = Image.fromarray(np.roll(np.asarray(average), 1, axis=1))
        assert mean_difference(moved, average) > 4 * DECODER_TOLERANCE  # what the tolerance would not let pass

    @pytest.mark.parametrize("orientation", [1, *sorted(TURNS)])
    @pytest.mark.parametrize("suffix", ["jpg", "png", "tiff"])
    def test_turned_pictures(self, tmp_path, suffix, orientation):
        """By law: turned and reduced is reduced and turned. The sides divide, so both have the same squares."""
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        path = tmp_path / f"a.{suffix}"
        photo(96, 160).save(path, exif=exif, **({"quality": 95} if suffix == "jpg" else {}))
        whole, reduced = read_picture(path), read_reduced_picture(path, 4)
        assert reduced.size == ((24, 40) if whole.height > whole.width else (40, 24))
        assert mean_difference(reduced, whole.reduce(4)) < (DECODER_TOLERANCE if suffix == "jpg" else 0.01)

    def test_a_jpeg_held_sideways_with_odd_sides(self, tmp_path):
        exif = Image.Exif()
        exif[ORIENTATION] = 6
        photo(101, 203).save(tmp_path / "a.jpg", exif=exif)
        assert read_picture(tmp_path / "a.jpg").size == (101, 203)
        assert read_reduced_picture(tmp_path / "a.jpg", 4).size == (26, 51)

    def test_alpha_lies_on_white_before_it_is_averaged(self, tmp_path):
        """Half of the pixels see-through: their colour, black, does not bleed into the average."""
        image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
        image.paste((*BLUE, 255), (0, 0, 2, 4))
        image.save(tmp_path / "a.png")
        assert np.asarray(read_reduced_picture(tmp_path / "a.png", 4)).tolist() == [[[128, 128, 255]]]

    def test_a_palette_is_averaged_by_colour(self, tmp_path):
        """Not by the numbers in the palette."""
        image = Image.new("P", (4, 2))
        image.putpalette([*RED, *GREEN, *BLUE])
        image.paste(2, (0, 0, 2, 2))
        image.save(tmp_path / "a.png")
        assert np.asarray(read_reduced_picture(tmp_path / "a.png", 4)).tolist() == [[[128, 0, 128]]]

    def test_sixteen_bits(self, tmp_path):
        Image.fromarray(np.array([[0, 65535], [0, 65535]], dtype=np.uint16)).save(tmp_path / "a.png")
        assert np.asarray(read_reduced_picture(tmp_path / "a.png", 2)).tolist() == [[[128] * 3]]

    def test_several_pictures_in_one_file(self, tmp_path):
        """What phones call JPEG is often MPO: the first picture, by the decoder."""
        path = tmp_path / "a.jpg"
        photo(96, 160).save(path, format="MPO", quality=95, save_all=True, append_images=[Image.new("RGB", (8, 8))])
        with Image.open(path) as image:
            assert image.format == "MPO"
        assert mean_difference(read_reduced_picture(path, 8), read_picture(path).reduce(8)) < DECODER_TOLERANCE

    @pytest.mark.parametrize("given", [1, 2, 4])
    def test_a_decoder_that_gives_less(self, tmp_path, monkeypatch, given):
        """The rest is averaged."""
        path, real = tmp_path / "a.jpg", JpegImagePlugin.JpegImageFile.draft
        photo(203, 301).save(path, quality=95)
        average = read_picture(path).reduce(8)

        def less(image: JpegImagePlugin.JpegImageFile, mode: str, _) -> object:
            return real(image, mode, (image.width // given, image.height // given)) if given > 1 else None

        monkeypatch.setattr(JpegImagePlugin.JpegImageFile, "draft", less)
        reduced = read_reduced_picture(path, 8)
        assert reduced.size == (38, 26)
        assert mean_difference(reduced, average) < DECODER_TOLERANCE

    def test_a_jpeg_is_never_decoded_whole(self, tmp_path, monkeypatch):
        """What it is all for: the pixels that are loaded are as few as those that are asked for."""
        sizes, real = [], JpegImagePlugin.JpegImageFile.load

        def load(image: JpegImagePlugin.JpegImageFile) -> object:
            loaded = real(image)
            sizes.append(image.im.size)
            return loaded

        photo(203, 301).save(tmp_path / "a.jpg")
        monkeypatch.setattr(JpegImagePlugin.JpegImageFile, "load", load)
        read_reduced_picture(tmp_path / "a.jpg", 4)
        assert set(sizes) == {(76, 51)}

    @pytest.mark.parametrize("reduction", [0, 1, 3, 16])
    def test_other_reductions_are_refused(self, tmp_path, reduction):
        Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
        with pytest.raises(ValueError, match=f"by 2, 4 or 8, not by {reduction}"):
            read_reduced_picture(tmp_path / "a.png", reduction)


class TestTensors:
    def test_by_hand(self, corners):
        pixels = to_tensor(corners)
        assert pixels.shape == (3, 2, 3)
        assert pixels.dtype == torch.float32
        assert pixels[:, 0, 0].tolist() == [1, 0, 0]  # red at the top left
        torch.testing.assert_close(pixels[:, 1, 2], torch.tensor([10.0, 20.0, 30.0]) / 255)

    def test_bytes_are_the_same_pixels(self, corners):
        assert torch.equal(as_floats(to_bytes(corners)), to_tensor(corners))
        assert to_bytes(corners).permute(1, 2, 0).is_contiguous()  # channels last: as it was decoded

    def test_only_rgb(self):
        with pytest.raises(ValueError, match="must be RGB, not L"):
            to_tensor(Image.new("L", (2, 2)))


class TestRefusals:
    @pytest.fixture(
        params=[read_picture, read_size, partial(read_reduced_picture, reduction=2)], ids=["picture", "size", "reduced"]
    )
    def read(self, request):
        return request.param

    def test_absent(self, read, tmp_path):
        with pytest.raises(DataError, match=r"absent\.jpg: there is no such picture$"):
            read(tmp_path / "absent.jpg")

    def test_a_folder(self, read, tmp_path):
        with pytest.raises(DataError, match="cannot be read as a picture"):
            read(tmp_path)

    @pytest.mark.parametrize("content", [b"", b"<html>", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
    def test_no_picture(self, read, tmp_path, content):
        (tmp_path / "a.jpg").write_bytes(content)
        with pytest.raises(DataError, match=r"a\.jpg: ") as caught:
            read(tmp_path / "a.jpg")
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "webp", "tiff", "bmp"])
    @pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
    def test_truncated(self, tmp_path, suffix, share):
        """Never half a picture in silence."""
        path = tmp_path / f"a.{suffix}"
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(DataError) as caught:
            read_picture(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
    @pytest.mark.parametrize("reduction", REDUCTIONS)
    @pytest.mark.parametrize("progressive", [False, True])
    def test_a_truncated_jpeg_says_the_same_when_it_is_reduced(self, tmp_path, progressive, reduction, share):
        path = tmp_path / "a.jpg"
        photo(203, 301).save(path, progressive=progressive)
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        said = []
        for read in (read_picture, partial(read_reduced_picture, reduction=reduction)):
            with pytest.raises(DataError, match=r"a\.jpg: cannot be read as a picture \(.+\)$") as caught:
                read(path)
            said.append(str(caught.value))
        assert said[0] == said[1]

    def test_a_decompression_bomb(self, read, tmp_path, monkeypatch):
        """Refused from its header, before its pixels fill the memory: also where Pillow would only warn."""
        Image.new("L", (300, 300)).save(tmp_path / "a.png")
        for limit in (80_000, 10_000):  # a little too large: a warning; twice too large: an error
            monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
            with pytest.raises(DataError, match=rf"a\.png: holds more than {limit} pixels: make it smaller"):
                read(tmp_path / "a.png")

    def test_a_bomb_of_text(self, tmp_path):
        """Compressed text that would grow beyond what Pillow allows."""
        info = PngImagePlugin.PngInfo()
        info.add_text("comment", "a" * 5_000_000, zip=True)
        Image.new("L", (4, 4)).save(tmp_path / "a.png", pnginfo=info)
        with pytest.raises(DataError, match=r"a\.png: cannot be read"):
            read_picture(tmp_path / "a.png")

    @pytest.mark.parametrize("exif", [b"garbage", b"II*\0\xff\xff\xff\x7f", b"\xff" * 40])
    @pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
    def test_broken_metadata_break_no_picture(self, tmp_path, suffix, exif):
        path = tmp_path / f"a.{suffix}"
        Image.new("RGB", (20, 10), "red").save(path, exif=b"Exif\0\0" + exif)
        assert read_size(path) == (10, 20)
        assert read_picture(path).size == (20, 10)

    def test_odd_metadata_do_not_warn(self, tmp_path):
        """A palette picture with a see-through byte string warns in Pillow; warnings are errors here."""
        image = Image.new("P", (2, 1))
        image.putpalette([*RED, *BLUE])
        image.save(tmp_path / "a.png", transparency=b"\x00\xff")
        assert seen(tmp_path / "a.png")[0, 0].tolist() == list(WHITE)


def test_sizes_of_real_photos(shared):
    """By oracle: the size from the header is that of the picture, for one photo in forty."""
    photos = sorted((shared / "data/VOC2007-part/VOCdevkit/VOC2007/JPEGImages").glob("*.jpg"))[::40]
    assert photos
    for photo in photos:
        assert seen(photo).shape[2] == 3
