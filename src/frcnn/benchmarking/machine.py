"""On what it was measured: speed says nothing without it."""

import datetime
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

CPU_FACTS = Path("/proc/cpuinfo")  # Linux alone has it


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Processor, cores, threads, versions and date, ready for JSON."""
    facts: dict[str, Any] = {
        "cpu": cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
    }
    facts |= {name: version(name) for name in ("torch", "torchvision", "frcnn")}
    return facts | {"date": datetime.datetime.now(datetime.UTC).date().isoformat()}


def cpu_name(facts: Path = CPU_FACTS) -> str:
    """The model name of the processor, as well as it can be known."""
    try:
        lines = facts.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, None) or platform.processor() or platform.machine()
