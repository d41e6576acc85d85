"""Mended copies: without errors, with everything else as it was, and the originals as they were."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from data_sets import name_of, skip_without, write_coco, write_voc, write_yolo
from mended_sets import contents, log, mend
from plants import COCO_PLANTS, LIST_PLANTS, VOC_PLANTS, YOLO_PLANTS, Plant

from frcnn.data.checking.check import check_dataset, examine_paths
from frcnn.data.checking.mend import mend_dataset
from frcnn.data.dataset import load_dataset
from frcnn.errors import DataError, UsageError
from frcnn.files import require_folder_apart

SETS = [(write_voc, VOC_PLANTS | LIST_PLANTS), (write_coco, COCO_PLANTS), (write_yolo, YOLO_PLANTS)]


@pytest.mark.parametrize(("write", "plants"), SETS, ids=["voc", "coco", "yolo"])
class TestEveryFormat:
    def test_after_all_faults_at_once_the_copy_has_no_error(self, tmp_path: Path, write, plants: dict[str, Plant]):
        root, target = write(tmp_path / "set"), tmp_path / "copy"
        faults = [plant(root, name_of(2 + number)) for number, plant in enumerate(plants.values())]
        before = contents(root)
        mended = mend(root, target)
        assert contents(root) == before
        assert mended.errors == ()
        assert check_dataset([target]).errors == []
        for split in ("train", "val", "test"):
            assert len(load_dataset([target], split)) > 0  # training takes it
        told = {(row["kind"], row["file"]) for row in log(target)}
        for fault in faults:
            if fault.severity == "error":
                assert fault.kind in {kind for kind, _ in told}

    def test_a_clean_set_is_copied_as_it_is(self, tmp_path: Path, write, plants: dict[str, Plant]):  # noqa: ARG002
        root, target = write(tmp_path / "set"), tmp_path / "copy"
        (root / "LICENSE").write_text("mine")
        mended = mend(root, target)
        assert mended.deeds == ()
        assert log(target) == []
        copied = contents(target)
        del copied["mended.csv"]
        assert copied.keys() == contents(root).keys()
        written_anew = {name for name, digest in contents(root).items() if copied[name] != digest}
        assert all(name.endswith((".json", ".yaml")) for name in written_anew)
        for split in ("train", "val", "test"):
            old, new = load_dataset([root], split), load_dataset([target], split)
            assert old.class_names == new.class_names
            pairs = [*zip(old.examples, new.examples, strict=True)]
            assert all((a.picture.name, a.size) == (b.picture.name, b.size) for a, b in pairs)
            assert all(a.target.boxes.tolist() == b.target.boxes.tolist() for a, b in pairs)
            assert all(a.target.class_ids.tolist() == b.target.class_ids.tolist() for a, b in pairs)


def test_a_file_is_no_formula_in_what_tells_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    next(iter(VOC_PLANTS.values()))(write_voc(Path("=set")), name_of(2))
    mend(Path("=set"), Path("copy"))
    assert [row["file"][:5] for row in log(Path("copy"))] == ["'=set"]


class TestFolders:
    def test_several_sets_go_beside_one_another(self, tmp_path: Path) -> None:
        first, second = write_voc(tmp_path / "a/VOC"), write_voc(tmp_path / "b/VOC", {"train": [50, 51]})
        target = tmp_path / "copy"
        mend_dataset(*examine_paths([first, second]), target)
        assert sorted(path.name for path in target.iterdir()) == ["VOC", "VOC_2", "mended.csv"]
        assert len(load_dataset([target], "train")) == 36 + 2

    def test_nothing_is_overwritten(self, tmp_path: Path) -> None:
        root, target = write_voc(tmp_path / "set", {"train": [0, 1]}), tmp_path / "copy"
        target.mkdir()
        (target / "mine.txt").touch()
        with pytest.raises(UsageError, match="is there already and not empty"):
            require_folder_apart(target, [root])
        with pytest.raises(UsageError, match="is there already and not empty"):
            mend(root, target)

    @pytest.mark.parametrize("below", [".", "mended", "JPEGImages/mended"])
    def test_not_into_the_original(self, tmp_path: Path, below: str) -> None:
        root = write_voc(tmp_path / "set", {"train": [0, 1]})
        with pytest.raises(UsageError):
            require_folder_apart(root / below, [root])

    def test_not_beside_the_pictures_of_a_file_that_lies_elsewhere(self, tmp_path: Path) -> None:
        """The folder of COCO's JSON files holds no pictures; those that it names would be one more with the copy."""
        root = write_coco(tmp_path / "set")
        path, target = root / "annotations/instances_val2017.json", root / "val2017/copy"
        require_folder_apart(target, [path])
        with pytest.raises(UsageError, match="is not to be touched"):
            mend(path, target)
        assert not target.exists()

    def test_ctrl_c_leaves_nothing(self, tmp_path: Path) -> None:
        root, target = write_voc(tmp_path / "set"), tmp_path / "copy"

        def interrupt(done: int, _of: int | None) -> None:
            if done == 20:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            mend_dataset(*examine_paths([root]), target, interrupt)
        assert [path.name for path in tmp_path.iterdir()] == ["set"]

    def test_not_below_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(UsageError, match="is a file"):
            require_folder_apart(tmp_path / "file/copy", [tmp_path / "set"])

    def test_an_empty_folder_will_do(self, tmp_path: Path) -> None:
        root, target = write_voc(tmp_path / "set", {"train": [0, 1]}), tmp_path / "copy"
        target.mkdir()
        require_folder_apart(target, [root])
        mend(root, target)
        assert len(load_dataset([target], "train")) == 2

    def test_a_set_that_cannot_be_read(self, tmp_path: Path) -> None:
        root = write_yolo(tmp_path / "set")
        (root / "data.yaml").write_text("train: [\n")
        with pytest.raises(DataError, match="nothing can be mended before"):
            mend(root, tmp_path / "copy")

    @pytest.mark.slow
    def test_a_kill_leaves_no_copy_that_looks_whole(self, tmp_path: Path) -> None:
        root, target = write_voc(tmp_path / "set"), tmp_path / "copy"
        process = subprocess.run([sys.executable, "-c", KILLED_IN_THE_MIDDLE, str(root), str(target)], check=False)
        assert process.returncode == -signal.SIGKILL
        (left,) = tmp_path.glob(".copy.*")
        assert 0 < len([*left.glob("copy/JPEGImages/*")]) < 48
        assert not target.exists()
        mend(root, target)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "set"]


KILLED_IN_THE_MIDDLE = """
import os, signal, sys
from pathlib import Path
from frcnn.data.checking.check import examine_paths
from frcnn.data.checking.mend import mend_dataset

def progress(done, of):
    if done == 20:
        os.kill(os.getpid(), signal.SIGKILL)

root, target = map(Path, sys.argv[1:])
mend_dataset(*examine_paths([root]), target, progress)
"""


@pytest.mark.slow
def test_the_blood_smears(shared: Path, tmp_path: Path) -> None:
    root, target = skip_without(shared / "data/BCCD"), tmp_path / "copy"
    mended = mend(root, target)
    assert mended.errors == ()
    assert [(row["kind"], row["line"]) for row in log(target) if row["done"] == "yes"] == [
        ("no area", "163"),
        ("no area", "55"),
    ]
    assert contents(target / "JPEGImages") == contents(root / "JPEGImages")
    assert (target / "LICENSE").is_file()
