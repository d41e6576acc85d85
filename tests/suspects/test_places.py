"""Numbers and lines of objects, in each format."""

import json

import pytest
from PIL import Image

from frcnn.data.dataset import Dataset, load_dataset
from frcnn.data.examples import Example
from frcnn.structures import Target
from frcnn.suspects.places import Place, line_of, place_of


def test_voc_counts_the_bad_boxes_too(make_voc):
    """The second of the file is left out: the third is the second of the sound ones. An object a line, after one."""
    objects = [("cat", (1, 1, 20, 30)), ("dog", (30, 5, 9, 40)), ("dog", (5, 5, 40, 40))]
    root = make_voc({"a": [("cat", (1, 1, 9, 9))], "b": objects}, {"test": ["b", "a"]})
    dataset = load_dataset([root], "test", bad_boxes="skip")
    assert place_of(dataset, 0, 0) == Place(1, None, 2)
    assert place_of(dataset, 0, 1) == Place(3, None, 4)
    assert place_of(dataset, 1, 0) == Place(1, None, 2)


def test_lines_of_xml_are_those_of_objects_alone(tmp_path):
    """Not of comments, and not of what is called object below one (a person's part)."""
    path = tmp_path / "a.xml"
    path.write_text(
        "<annotation>\n<!-- <object> -->\n<object>\n<part><object/></part>\n</object>\n<object\n/>\n</annotation>"
    )
    assert [line_of(path, "voc", number) for number in (1, 2, 3)] == [3, 6, None]


def test_yolo_lines_pass_over_empty_ones(tmp_path):
    for name in ("a", "b"):
        Image.new("RGB", (64, 48)).save(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.txt").write_text("0 0.5 0.5 0.5 0.5\n\n1 0.5 0.5 0.25 0.5\n")
    (tmp_path / "data.yaml").write_text("test: .\nnames: [cat, dog]\n")
    dataset = load_dataset([tmp_path / "data.yaml"], "test")
    assert place_of(dataset, 1, 1) == Place(2, None, 3)


def test_lines_of_poses(tmp_path):
    """Whatever follows their boxes."""
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("\n0 0.5 0.5 0.5 0.5 0.1 0.1 2\n0 0.5 0.5 0.25 0.5 0.2 0.2 1\n")
    (tmp_path / "data.yaml").write_text("test: .\nnames: [cat]\nkpt_shape: [1, 3]\n")
    dataset = load_dataset([tmp_path / "data.yaml"], "test")
    assert [place_of(dataset, 0, number) for number in (0, 1)] == [Place(1, None, 2), Place(2, None, 3)]


def test_coco_has_ids(tmp_path):
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    content = {
        "images": [{"id": 7, "file_name": "a.png", "width": 64, "height": 48}],
        "annotations": [
            {"id": number, "image_id": 7, "category_id": 1, "bbox": [1, 2, 30, 20], "iscrowd": 0} for number in (41, 40)
        ],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (tmp_path / "instances_val2017.json").write_text(json.dumps(content))
    dataset = load_dataset([tmp_path / "instances_val2017.json"], "val")
    assert place_of(dataset, 0, 1) == Place(2, 40, None)


@pytest.mark.parametrize("content", [None, "<annotation><object>"])
def test_a_file_that_somebody_is_at_work_on_has_no_lines(tmp_path, content):
    if content is not None:
        (tmp_path / "a.xml").write_text(content)
    assert line_of(tmp_path / "a.xml", "voc", 1) is None
    assert line_of(tmp_path / "absent.txt", "yolo", 1) is None


def test_examples_made_by_hand_have_numbers_alone(tmp_path):
    from torch import tensor

    target = Target(tensor([[1.0, 1.0, 9.0, 9.0]]), tensor([0]))
    dataset = Dataset((Example(tmp_path / "a.jpg", tmp_path / "a.xml", (20, 20), target),), ("cat",))
    assert place_of(dataset, 0, 0) == Place(1, None, None)
