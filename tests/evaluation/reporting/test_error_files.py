"""errors/: names that say what is wrong, no more than asked for, nothing of an earlier time."""

import pytest
from PIL import Image
from small_reports import an_evaluated

from frcnn.errors import FrcnnError
from frcnn.evaluation.reporting.error_files import write_error_pictures

NAMES = [
    "FN_missed_01_1.jpg",
    "FN_missed_02_2.jpg",
    "FN_missed_03_3.jpg",
    "FP_background_01_4.jpg",
    "FP_both_01_3.jpg",
    "FP_class_01_2.jpg",
    "FP_duplicate_01_0.jpg",
    "FP_localisation_01_1.jpg",
    "TP_01_5.jpg",
    "TP_02_7.jpg",
]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_one_picture_for_each_kind(tmp_path) -> None:
    write_error_pictures(tmp_path / "errors", an_evaluated(tmp_path / "data").judged)
    assert names(tmp_path / "errors") == NAMES
    for path in (tmp_path / "errors").iterdir():
        with Image.open(path) as image:
            assert (image.format, image.size) == ("JPEG", (256, 192))


def test_no_more_than_asked_for_and_none_of_an_earlier_time(tmp_path) -> None:
    folder, pictures = tmp_path / "errors", an_evaluated(tmp_path / "data").judged
    write_error_pictures(folder, pictures)
    for name in ("FP_background_07_old.jpg", "mine.jpg"):
        (folder / name).write_text("")
    write_error_pictures(folder, pictures, most=1)
    assert names(folder) == sorted(
        [*(name for name in NAMES if "_01_" in name and name[:2] != "TP"), "TP_01_7.jpg", "mine.jpg"]
    )


def test_the_same_every_time(tmp_path) -> None:
    pictures = an_evaluated(tmp_path / "data").judged
    for name in ("one", "two"):
        write_error_pictures(tmp_path / name, pictures)
    for name in NAMES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_without_pictures_there_is_no_folder(tmp_path) -> None:
    pictures = an_evaluated(tmp_path / "data").judged
    for path in (tmp_path / "data").iterdir():
        path.unlink()
    write_error_pictures(tmp_path / "errors", pictures)
    assert not (tmp_path / "errors").exists()


@pytest.mark.parametrize(
    ("letters", "kept"), [("사" * 80, "사" * 60), ("😀" * 60, "😀" * 45), ("ab" + "사" * 80, "ab" + "사" * 59)]
)
def test_a_name_that_is_long_in_bytes_is_cut_behind_a_letter(tmp_path, letters: str, kept: str) -> None:
    evaluated = an_evaluated(tmp_path / "data")
    example = evaluated.dataset.examples[4]
    long = example.picture.with_name(f"{letters}.png")  # as long as a file system takes
    example.picture.rename(long)
    object.__setattr__(example, "picture", long)
    write_error_pictures(tmp_path / "errors", evaluated.judged)
    assert f"FP_background_01_{kept}.jpg" in names(tmp_path / "errors")


def test_a_disk_that_refuses_is_named(tmp_path) -> None:
    (tmp_path / "errors").write_text("")
    with pytest.raises(FrcnnError, match="errors"):
        write_error_pictures(tmp_path / "errors", an_evaluated(tmp_path / "data").judged)
