"""A data set of a million pictures: how long its index takes, what it costs to open it again, and what workers hold.

    python benchmarks/index.py --pictures 1000000 --objects 8000000 --folder /tmp/million

Writes annotations in COCO's format (no pictures), then measures, each in a process of its own: building the index,
opening the data set again, memory of workers that read at random (unique set size: what each holds alone), and the time
of a random batch of annotations. Prints JSON.
"""

import argparse
import json
import multiprocessing
import os
import random
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

BATCH = 64
BATCHES = 500  # that each worker reads
WORKERS = 8
CLASSES = 80


def main() -> None:
    """All of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=1_000_000)
    parser.add_argument("--objects", type=int, default=8_000_000)
    parser.add_argument("--folder", type=Path, required=True, help="for the annotations and the index")
    asked = parser.parse_args()
    os.environ["FRCNN_CACHE"] = str(asked.folder / "cache")
    path = asked.folder / "annotations" / "instances_train.json"
    if not path.exists():
        write_annotations(path, asked.pictures, asked.objects)
    found: dict[str, Any] = {"pictures": asked.pictures, "objects": asked.objects}
    found["annotations_mb"] = round(path.stat().st_size / 1e6)
    found |= in_a_process(build, path)
    found |= in_a_process(reopen, path)
    found |= in_a_process(work, path)
    print(json.dumps(found, indent=1))


def write_annotations(path: Path, pictures: int, objects: int) -> None:
    """A random set, an hour old: an index of a younger one is not kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draw = random.Random(0)
    aside = path.with_suffix(".part")
    with aside.open("w") as file:
        file.write('{"images": [\n')
        for number in range(pictures):
            file.write(",\n" * (number > 0))
            file.write(f'{{"id": {number}, "file_name": "{number:012}.jpg", "height": 480, "width": 640}}')
        file.write('\n], "annotations": [\n')
        for number in range(objects):
            x, y, w, h = draw.random() * 500, draw.random() * 400, 8 + draw.random() * 100, 8 + draw.random() * 60
            file.write(",\n" * (number > 0))
            file.write(
                f'{{"id": {number}, "image_id": {draw.randrange(pictures)}, "category_id": {draw.randrange(CLASSES)}, '
                f'"bbox": [{x:.2f}, {y:.2f}, {w:.2f}, {h:.2f}], "area": {w * h:.2f}, "iscrowd": 0}}'
            )
        names = [{"id": number, "name": f"class {number}"} for number in range(CLASSES)]
        file.write(f'\n], "categories": {json.dumps(names)}}}')
    os.utime(aside, (time.time() - 3600,) * 2)
    aside.rename(path)


def in_a_process(measure: Callable[[Path], dict[str, Any]], path: Path) -> dict[str, Any]:
    """What `measure` finds, in a fresh process: no memory of what came before."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, path).result()


def build(path: Path) -> dict[str, Any]:
    """From the JSON file to the index."""
    from frcnn.data.dataset import open_sets

    before = resident_mb()
    start = time.perf_counter()
    open_sets([path], reindex=True)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (index,) = (path.parent.parent / "cache" / "indices").iterdir()
    return {
        "build_seconds": round(seconds, 1),
        "build_extra_memory_mb": round(peak - before),
        "index_mb": round(index.stat().st_size / 1e6),
    }


def reopen(path: Path) -> dict[str, Any]:
    """The whole data set, ready to be trained on; and random batches of annotations."""
    from frcnn.data.dataset import training_splits

    start = time.perf_counter()
    dataset, _ = training_splits([path], 0, 0)
    seconds = time.perf_counter() - start
    draw, times = random.Random(0), []
    for _ in range(BATCHES):
        numbers = draw.sample(range(len(dataset)), BATCH)
        start_of_batch = time.perf_counter()
        for number in numbers:
            dataset.examples[number]
        times.append(time.perf_counter() - start_of_batch)
    return {
        "reopen_seconds": round(seconds, 2),
        f"batch_of_{BATCH}_ms": round(sorted(times)[len(times) // 2] * 1000, 2),
        "slowest_batch_ms": round(max(times) * 1000, 2),
    }


def work(path: Path) -> dict[str, Any]:
    """Processes that read at random, forked as loaders fork theirs."""
    from frcnn.data.dataset import training_splits

    dataset, _ = training_splits([path], 0, 0)
    context = multiprocessing.get_context("fork")
    ready, leave, sizes = context.Barrier(WORKERS + 1), context.Event(), context.SimpleQueue()

    def read(seed: int, idle: bool) -> None:
        draw = random.Random(seed)
        for _ in range(0 if idle else BATCHES * BATCH):
            dataset.examples[draw.randrange(len(dataset))]
        ready.wait()  # all at once: what two of them hold is nobody's alone
        sizes.put(unique_mb())
        leave.wait()

    found: dict[str, Any] = {}
    for name, idle in (("idle", True), ("reading", False)):
        leave.clear()
        workers = [context.Process(target=read, args=(seed, idle), daemon=True) for seed in range(WORKERS)]
        for worker in workers:
            worker.start()
        ready.wait()
        of_each = sorted(sizes.get() for _ in workers)
        found[f"unique_mb_of_a_{name}_worker"] = round(of_each[-1], 1)
        found[f"unique_mb_of_{WORKERS}_{name}_workers"] = round(sum(of_each), 1)
        leave.set()
        for worker in workers:
            worker.join()
    return found


def resident_mb() -> float:
    """What this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def unique_mb() -> float:
    """What this process alone holds."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean", "Private_Dirty"))) / 1024


if __name__ == "__main__":
    main()
