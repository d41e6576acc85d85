import json

from frcnn.config import preset_names


def test_one_line_each(run):
    outcome = run("presets")
    assert (outcome.status, outcome.error) == (0, "")
    header, *lines = outcome.out.splitlines()
    assert header.split() == ["preset", "parameters", "COCO", "AP", "GFLOP", "what"]
    assert [line.split()[0] for line in lines[: len(preset_names())]] == list(preset_names())
    assert next(line for line in lines if line.split()[0] == "vgg16").split()[1:3] == ["137.1", "M"]


def test_json(run):
    presets = {line["name"]: line for line in json.loads(run("presets", "--json").out)}
    assert tuple(presets) == preset_names()
    assert presets["resnet50_fpn"]["coco_ap"] == 0.37
    assert presets["vgg16"]["coco_ap"] is None
