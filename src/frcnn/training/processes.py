"""The processes that train together: one, or as many as torchrun starts, on one machine or on several."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import timedelta

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor
from torch.distributed import Store  # pyright: ignore[reportPrivateImportUsage]  (documented as its own)

from frcnn.data.order import Share
from frcnn.device import choose_device
from frcnn.errors import EndedProcessError, Terminated, UsageError
from frcnn.interrupts import interrupts_ignored
from frcnn.ops.losses import Normaliser, at_least_one
from frcnn.training.joining import join, words_of_this_start

PATIENCE = timedelta(hours=12)  # while one process evaluates or writes proposals, the others wait
FABRIC_PRECISION = {"float32": "32-true", "bfloat16": "bf16-mixed", "float64": "32-true"}  # float64: of the weights


def open_fabric(device: str, precision: str) -> Fabric:
    """The devices that train together, of this process and of those that torchrun started beside it.

    Raises UsageError for a device that cannot be used, or a process that was not begun by torchrun and should be.
    """
    where = choose_device(device)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it tells of precision and ranks, as we do
    processes, of_machine = (int(os.environ.get(name, 1)) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    if processes == 1:
        devices = [where.index or 0] if where.type == "cuda" else 1
        fabric = Fabric(accelerator=where.type, devices=devices, precision=FABRIC_PRECISION[precision])  # pyright: ignore[reportArgumentType]
    elif "RANK" not in os.environ:
        raise UsageError(f"WORLD_SIZE is {processes}, but no torchrun began this: start it by torchrun, or unset it")
    elif where.index is not None:
        raise UsageError(f"--device {device}: torchrun gives each process a device of its own: say {where.type}")
    else:
        join(where.type, PATIENCE)
        fabric = Fabric(
            accelerator=where.type,
            devices=of_machine,
            num_nodes=processes // of_machine,
            precision=FABRIC_PRECISION[precision],  # pyright: ignore[reportArgumentType]
            strategy=DDPStrategy(timeout=PATIENCE),
        )
    fabric.launch()
    return fabric


def share_of(fabric: Fabric) -> Share:
    """Which process this is."""
    return Share(fabric.global_rank, fabric.world_size)


def normaliser_over_all(fabric: Fabric, *, counts: bool) -> Normaliser:
    """Divides the sums of all processes by the samples of all processes.

    As gradients are averaged over the processes, each divides by the mean number of samples that one of them has.
    """

    def normalise(count: int) -> float:
        if fabric.world_size == 1:
            return at_least_one(count)
        mine = torch.tensor(float(count if counts else 0), device=fabric.device, dtype=torch.float64)
        return max(float(mean_of_processes(fabric, mine)), 1 / fabric.world_size)

    return normalise


def mean_of_processes(fabric: Fabric, values: Tensor) -> Tensor:
    """The same on all."""
    mean = fabric.all_reduce(values, reduce_op="mean")
    if not isinstance(mean, Tensor):
        raise TypeError(f"tensors are reduced to tensors, not to {type(mean).__name__}")
    return mean


@contextmanager
def one_fate(fabric: Fabric) -> Iterator[None]:
    """An error of one process ends all of them, and each says what it was; so does Ctrl-C, of the first process alone.

    The others notice that a connection is gone, or are ended by torchrun; why, they read where it was left: in
    torchrun's own store. Were they interrupted too, the first one might wait for them within a step, from which no
    state can be written. Raises EndedProcessError where another process has ended.
    """
    if fabric.world_size == 1:
        yield
        return
    store = words_of_this_start()
    try:
        with nullcontext() if fabric.is_global_zero else interrupts_ignored():
            yield
    except EndedProcessError:
        raise
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, RuntimeError | Terminated) and (reason := _what_ended_another(store, error)):
            raise EndedProcessError(reason) from error
        if not isinstance(error, RuntimeError):
            with suppress(RuntimeError):  # where the store is gone, nobody listens
                store.set("error", f"process {fabric.global_rank} of {fabric.world_size}: {_in_words(error)}")
        raise


def _in_words(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "terminated" if isinstance(error, Terminated) else "interrupted"
    return str(error) or type(error).__name__


def _what_ended_another(store: Store, error: BaseException) -> str | None:
    """In its own words where it has left any; None where no other has ended."""
    with suppress(RuntimeError):  # its machine may be gone
        if store.check(["error"]):
            return store.get("error").decode()
    if "peer" in str(error):  # gloo's and NCCL's word for a connection that is gone
        return "another process has ended, without a word here: its own lines say why"
    return None
