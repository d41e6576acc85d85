"""What `frcnn data check` does: check, write the page, write the mended copy."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from frcnn.data.checking.check import Report, examine_paths, report_on
from frcnn.data.checking.mend import Mended, mend_dataset
from frcnn.data.checking.page import words, write_page
from frcnn.errors import UsageError
from frcnn.files import file_in_the_way, require_folder_apart
from frcnn.progress import Advance
from frcnn.texts import Language


class Checked(NamedTuple):
    """What was found, and what was written."""

    report: Report
    page: Path | None
    mended: Mended | None


def check(
    paths: Sequence[Path],
    *,
    fix: Path | None = None,
    out: Path | None = None,
    language: Language = "en",
    progress: Advance | None = None,
) -> Checked:
    """Check the data sets at `paths` together; write check.html into `out`, and a copy without errors into `fix`.

    The page's headings and what each kind of fault means are in `language`; the faults themselves are told in English.

    Raises UsageError where something is in the way, before anything is read; DataError where there is no data set.
    """
    words(language)
    if out is not None and (blocker := file_in_the_way(out)) is not None:
        raise UsageError(f"{out}: is no place for a page, as {blocker} is a file: name another folder with --out")
    if fix is not None:
        require_folder_apart(fix, paths)
    examination, refused = examine_paths(paths, progress=progress)
    report = report_on(examination, refused)
    page = write_page(report, out, language) if out is not None else None
    mended = mend_dataset(examination, refused, fix, progress) if fix is not None else None
    return Checked(report, page, mended)
