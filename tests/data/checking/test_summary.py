"""The numbers of a small set, by hand."""

from pathlib import Path

from data_sets import name_of, write_annotation, write_coco, write_voc

from frcnn.data.checking.check import check_dataset


def test_by_hand(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "set", {"train": [0, 1], "test": [2, 3]})
    write_annotation(root, name_of(0), [("square", (0, 0, 10, 10)), ("bar", (0, 0, 128, 40)), ("bar", (0, 0, 100, 96))])
    write_annotation(root, name_of(1), [])
    (root / "ImageSets/Main/test.txt").write_text(f"{name_of(2)}\n")
    summary = check_dataset([root]).summary
    assert summary.pictures == {"train": 2, "test": 1}
    assert summary.objects == {"train": 3, "test": 3}
    assert summary.classes == {
        "bar": {"train": 2, "test": 0},
        "circle": {"train": 0, "test": 1},
        "square": {"train": 1, "test": 2},
    }
    assert (summary.pictures_without_objects, summary.pictures_in_no_split) == (1, 1)
    assert summary.picture_width == {"least": 128, "median": 128, "most": 128}
    assert summary.objects_per_picture == {"mean": 9 / 4, "most": 3}
    # 10x10 and the circles of 27x30 and 28x30 are below 32x32, as is nothing else; 98x98 is above 96x96
    assert summary.object_sizes == {"small": 3, "medium": 5, "large": 1}
    assert dict(zip(summary.object_sides.ends, summary.object_sides.counts, strict=False)) == {
        8: 0, 16: 1, 32: 2, 64: 4, 128: 2, 256: 0, 512: 0,
    }  # fmt: skip
    assert summary.objects_in_pictures.counts[:4] == (1, 0, 0, 3)


def test_bars_of_pictures_begin_where_their_sizes_do(tmp_path: Path) -> None:
    """128 pixels all of them: one bar of one, and none from 0 on."""
    bars = check_dataset([write_voc(tmp_path / "set", {"train": [0, 1]})]).summary.picture_sides
    assert (bars.begin, bars.ends, bars.counts) == (128, (129,), (2, 0))


def test_a_file_is_called_by_its_name(tmp_path: Path) -> None:
    root = write_coco(tmp_path / "set")
    file = root / "annotations/instances_val2017.json"
    assert check_dataset([file]).summary.sets == (str(file),)
    assert check_dataset([root]).summary.sets == (str(root),)


def test_of_nothing(tmp_path: Path) -> None:
    """A set of which nothing can be read has a summary nevertheless."""
    root = write_voc(tmp_path / "set", {"train": [0]})
    (root / "Annotations/p00.xml").write_text("<")
    summary = check_dataset([root]).summary
    assert (summary.pictures, summary.classes) == ({}, {})
    assert sum(summary.object_sides.counts) == 0
