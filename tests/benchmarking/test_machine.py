import json
from importlib.metadata import version

import torch

from frcnn.benchmarking.machine import cpu_name, describe_machine


def test_the_processor_by_its_model_name(tmp_path):
    facts = tmp_path / "cpuinfo"
    facts.write_text("processor\t: 0\nmodel name\t: Fast: One\nprocessor\t: 1\nmodel name\t: Fast: Two\n")
    assert cpu_name(facts) == "Fast: One"


def test_without_the_file_there_is_still_a_name(tmp_path):
    assert cpu_name(tmp_path / "absent")


def test_all_that_speed_depends_on():
    machine = json.loads(json.dumps(describe_machine(torch.device("cpu"))))
    assert set(machine) == {"cpu", "cores", "threads", "device", "torch", "torchvision", "frcnn", "date"}
    assert machine["torch"] == version("torch")
    assert (machine["threads"], machine["device"]) == (torch.get_num_threads(), "cpu")
    assert len(machine["date"]) == len("2026-01-31")
