"""What the command does, in its order: places are looked at before data are."""

from pathlib import Path

import pytest
from data_sets import name_of, write_voc
from plants import VOC_PLANTS

from frcnn.data.checking.run import check
from frcnn.errors import UsageError


def test_everything_at_once(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "set")
    VOC_PLANTS["no area"](root, name_of(7))
    report, page, mended = check([root], fix=tmp_path / "copy", out=tmp_path / "out")
    assert len(report.errors) == 1
    assert page == tmp_path / "out/check.html"
    assert page.is_file()
    assert mended is not None
    assert (tmp_path / "copy/mended.csv").is_file()


def test_the_page_is_in_the_language_asked_for(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "set", {"train": [0, 1]})
    page = check([root], out=tmp_path / "out", language="ko").page
    assert page is not None
    assert '<html lang="ko">' in page.read_text(encoding="utf-8")


def test_places_are_looked_at_first(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="--out"):
        check([tmp_path / "absent"], out=tmp_path / "file/out")
    with pytest.raises(UsageError, match="is there already"):
        check([tmp_path / "absent"], fix=tmp_path)
