"""How the processes that torchrun starts find one another, also those of a second start."""

import atexit
import json
import os
import secrets
import time
from datetime import timedelta

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
POLL = 0.05  # seconds between two looks into the store


def join(device_type: str, patience: timedelta) -> None:
    """Connect this process with the others, under a name that no earlier start has used.

    torchrun keeps its store over restarts, and with it the addresses of the processes that have died: whoever reads
    those waits for the dead.
    """
    store, rank, processes = next(rendezvous("env://", timeout=patience))
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if device_type == "cuda" else None
    init_process_group(
        get_default_backend_for_device(device_type),
        store=PrefixStore(name_of_this_start(store, rank, processes), store),
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
        store.set("happened", "yes")  # now that nobody of this start asks any more
        return mine
    while True:
        name = store.get("name").decode()
        store.set(f"{name}/{rank}", mine)
        if store.check([f"{name}/all"]) and mine in json.loads(store.get(f"{name}/all")):
            return name
        time.sleep(POLL)  # the name may be of a start that has failed


def restarted() -> bool:
    """Has torchrun started these processes anew, after one of them had died?

    It counts what has died on this machine; what has died on another one, its store tells.
    """
    if int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0:
        return True
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True" or os.environ.get("WORLD_SIZE") == "1":
        return False
    return PrefixStore(PLACE, torchrun_s_store()).check(["happened"])


def torchrun_s_store() -> Store:
    """Where its processes find what others have left, also those that have died."""
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return TCPStore(address, port, is_master=False, wait_for_workers=False)
