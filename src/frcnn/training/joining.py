"""How the processes that torchrun starts find one another, also those of a second start."""

import atexit
import json
import os
import secrets
import time
from datetime import timedelta
from pathlib import Path

import torch
from torch.distributed import (
    PrefixStore,  # pyright: ignore[reportPrivateImportUsage]  (documented as torch.distributed's)
    Store,  # pyright: ignore[reportPrivateImportUsage]
    TCPStore,  # pyright: ignore[reportPrivateImportUsage]
    destroy_process_group,
    get_default_backend_for_device,
    init_process_group,
    rendezvous,  # pyright: ignore[reportPrivateImportUsage]
)

PLACE = "frcnn/start"  # in the store
BEGUN = "frcnn/begun"  # in the store too: the folders of the runs that these processes, or those before, have begun
LAST_WORDS = "last words"
POLL = 0.05  # seconds between two looks into the store

_of_this_start: list[str] = []  # the name of the group that this process has joined: torch has one a process too


def join(device_type: str, patience: timedelta) -> None:
    """Connect this process with the others, under a name that no earlier start has used.

    torchrun keeps its store over restarts, and with it the addresses of the processes that have died: whoever reads
    those waits for the dead.
    """
    store, rank, processes = next(rendezvous("env://", timeout=patience))
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if device_type == "cuda" else None
    _of_this_start[:] = [name_of_this_start(store, rank, processes)]
    init_process_group(
        get_default_backend_for_device(device_type),
        store=PrefixStore(_of_this_start[0], store),
        rank=rank,
        world_size=processes,
        timeout=patience,
        device_id=device,
    )
    if device is not None:
        atexit.register(destroy_process_group)  # NCCL asks for it


def name_of_this_start(store: Store, rank: int, processes: int) -> str:
    """What the first process has made up and all that run now have answered, the same in each of them.

    Answers are made up too: a process that finds its own among those that the first one has counted knows that both
    are alive. Restarts cannot be counted instead: of several machines, each counts for itself.
    """
    store = PrefixStore(PLACE, store)
    mine = secrets.token_hex(8)
    if rank == 0:
        store.set("name", mine)
        answers = [store.get(f"{mine}/{other}").decode() for other in range(1, processes)]
        store.set(f"{mine}/all", json.dumps(answers))
        return mine
    while True:
        name = store.get("name").decode()
        store.set(f"{name}/{rank}", mine)
        if store.check([f"{name}/all"]) and mine in json.loads(store.get(f"{name}/all")):
            return name
        time.sleep(POLL)  # the name may be of a start that has failed


def words_of_this_start() -> Store:
    """Where its processes leave what has ended them. No earlier start has left anything there."""
    return PrefixStore(f"{PLACE}/{_of_this_start[0]}/{LAST_WORDS}", torchrun_s_store())


def begun_before(out: Path) -> bool:
    """Has this very call of torchrun begun the run in `out`, with processes of which one has died?

    Another one's run is not gone on with unasked. How often torchrun has started does not tell: the first start may
    have been refused, and of several machines each counts for itself.
    """
    if _has_lasting_store():
        return PrefixStore(BEGUN, torchrun_s_store()).check([str(out)])
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0  # with etcd there is no more to go by


def remember_begun(out: Path) -> None:
    """For the processes that torchrun starts in place of these: now that all of these have asked."""
    if _has_lasting_store():
        PrefixStore(BEGUN, torchrun_s_store()).set(str(out), "yes")


def _has_lasting_store() -> bool:
    """One of torchrun's own, which outlives the processes."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def torchrun_s_store() -> Store:
    """Where its processes find what others have left, also those that have died."""
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return TCPStore(address, port, is_master=False, wait_for_workers=False)
