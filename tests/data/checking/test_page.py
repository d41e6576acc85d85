"""The page: all that was found, and nothing that breaks it."""

from pathlib import Path

from data_sets import name_of, write_voc
from plants import VOC_PLANTS

from frcnn.data.checking.check import check_dataset
from frcnn.data.checking.page import range_names, write_page
from frcnn.data.checking.summary import Bars


def test_ranges() -> None:
    assert range_names(Bars((1, 2, 5), (0, 0, 0, 0))) == ["0", "1", "2-4", "5+"]
    assert range_names(Bars((400, 500), (0, 0, 0), begin=300)) == ["300-399", "400-499", "500+"]


def test_a_page(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "set")
    fault = VOC_PLANTS["no area"](root, name_of(7))
    path = write_page(check_dataset([root]), tmp_path / "new/out")
    assert path == tmp_path / "new/out/check.html"
    text = path.read_text()
    assert f"{fault.file}, line {fault.line}" in text
    assert text.count("<svg") == 3
    assert "circle" in text
    assert "://" not in text


def test_names_are_escaped(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "set", {"train": [0, 1]})
    path = root / "Annotations/p00.xml"
    path.write_text(path.read_text().replace("circle", "&lt;script&gt;"))
    text = write_page(check_dataset([root]), tmp_path / "out").read_text()
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
