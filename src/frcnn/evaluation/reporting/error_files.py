"""errors/: pictures of what is right, wrong and missed, as files whose names say which."""

from pathlib import Path

from frcnn.cropping import jpeg
from frcnn.evaluation.error_types import Verdict
from frcnn.evaluation.reporting.judged import KINDS, MISSED, Judged
from frcnn.evaluation.reporting.pictures import draw
from frcnn.files import beginning_of_name, make_folder, written_whole

MOST_FILES = 10  # of each kind
LONGEST_STEM = 180  # bytes of the picture's own name: 60 letters of Hangul
OF_EARLIER_TIMES = ("TP_[0-9][0-9]_*.jpg", "FP_*_[0-9][0-9]_*.jpg", "FN_*_[0-9][0-9]_*.jpg")


def write_error_pictures(folder: Path, judged: Judged, most: int = MOST_FILES) -> None:
    """`TP_01_NAME.jpg`: everything right; `FP_KIND_01_NAME.jpg`: the worst of each kind of error; `FN_missed_01_...`.

    At most `most` of each, in place of those of an earlier evaluation; pictures that cannot be read are left out.
    Raises FrcnnError, naming the file, where the disk refuses.
    """
    for pattern in OF_EARLIER_TIMES:
        for path in folder.glob(pattern):
            path.unlink()
    _write(folder, "TP", None, judged, judged.faultless(most))
    for kind in KINDS:
        _write(folder, f"{'FN' if kind == MISSED else 'FP'}_{kind}", kind, judged, judged.worst(kind, most))


def _write(folder: Path, title: str, kind: str | None, judged: Judged, numbers: list[int]) -> None:
    for place, number in enumerate(numbers, start=1):
        picture = judged.picture(number)
        image = draw(picture, kind or Verdict.RIGHT.key)
        if image is not None:
            make_folder(folder)
            stem = beginning_of_name(picture.example.picture.stem, LONGEST_STEM)
            with written_whole(folder / f"{title}_{place:02}_{stem}.jpg") as aside:
                aside.write_bytes(jpeg(image))
