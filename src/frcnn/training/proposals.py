"""Proposals that are written down between the steps of alternating training, and read back (Sec. 3.2 i).

One packed file a step: P boxes for each of N pictures, float32, in original pixels of the picture as it is, best first;
where a picture has fewer, the rest is NaN. It is mapped into memory: what is not asked for is not read.
"""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from frcnn.data.dataset import Dataset
from frcnn.data.loading import evaluation_batches
from frcnn.device import Precision, autocast
from frcnn.errors import FrcnnError
from frcnn.files import make_folder, written_whole
from frcnn.model.detector import FasterRCNN

BEFORE_NMS = 1_000_000  # per pyramid level: all of them, as the authors' code has it for proposals that are written


@torch.no_grad()
def write_proposals(
    path: Path,
    model: FasterRCNN,
    dataset: Dataset,
    per_image: int,
    *,
    workers: int,
    precision: Precision,
    progress: Callable[[int], None],
) -> None:
    """The `per_image` best proposals of every picture, whole or not at all; `progress` hears how many are done.

    Raises FrcnnError where the disk refuses.
    """
    make_folder(path.parent)
    device, number_type = next(model.parameters()).device, next(model.parameters()).dtype
    model.eval()
    batches = evaluation_batches(dataset, 1, workers)
    with closing(batches), written_whole(path) as aside, aside.open("wb") as file, autocast(device, precision):
        header = {"descr": "<f4", "fortran_order": False, "shape": (len(dataset), per_image, 4)}
        np.lib.format.write_array_header_1_0(file, header)
        for number, batch in enumerate(batches):
            images = [image.to(number_type) for image in batch.images_on(device)]
            (boxes,) = model.proposals(images, BEFORE_NMS, per_image)
            rows = np.full((per_image, 4), np.nan, dtype="<f4")
            rows[: len(boxes)] = boxes.float().cpu().numpy()
            file.write(rows.tobytes())  # not by mapped memory: where the disk is full, that kills the process
            progress(number + 1)


class WrittenProposals:
    """The proposals of one step, read back."""

    def __init__(self, path: Path, dataset: Dataset) -> None:
        """Raises FrcnnError where the file is missing or of another data set."""
        try:
            self._rows = np.load(path, mmap_mode="r")
        except (OSError, ValueError, EOFError) as error:
            raise FrcnnError(
                f"{path}: the proposals that this step trains on are missing or damaged: start the run anew"
            ) from error
        if len(self._rows) != len(dataset):
            raise FrcnnError(
                f"{path}: holds proposals for {len(self._rows)} pictures, but the data set has {len(dataset)}: "
                "resume with the same data"
            )

    def of(self, number: int) -> Float[Tensor, "_ 4"]:
        """The proposals of the picture of this number."""
        rows = torch.from_numpy(np.array(self._rows[number]))
        return rows[~rows[:, 0].isnan()]
