"""Processes find those of their own start, whatever an earlier one has left in the store."""

import json
import threading
from datetime import timedelta

import pytest
from torch.distributed import HashStore, TCPStore

from frcnn.training.joining import name_of_this_start, restarted


def started(
    store: HashStore | TCPStore, ranks: tuple[int, ...], processes: int
) -> tuple[list[threading.Thread], dict[int, str]]:
    """Threads in place of processes, and the names that they have agreed on so far."""
    names: dict[int, str] = {}

    def agree(rank: int) -> None:
        names[rank] = name_of_this_start(store, rank, processes)

    threads = [threading.Thread(target=agree, args=(rank,), daemon=True) for rank in ranks]
    for thread in threads:
        thread.start()
    return threads, names


def test_all_agree_and_no_start_has_the_name_of_another() -> None:
    store = HashStore()
    store.set_timeout(timedelta(seconds=20))
    found = []
    for _ in range(3):
        threads, names = started(store, (2, 0, 1), 3)
        for thread in threads:
            thread.join(20)
        assert len(names) == 3
        found += set(names.values())
    assert len(found) == len(set(found)) == 3


def test_nobody_takes_the_name_of_a_start_whose_first_process_has_died() -> None:
    """Before it had counted the others, and after."""
    for was_complete in (False, True):
        store = HashStore()
        store.set_timeout(timedelta(seconds=20))
        store.set("frcnn/start/name", "dead")
        store.set("frcnn/start/dead/1", "dead too")
        if was_complete:
            store.set("frcnn/start/dead/all", json.dumps(["dead too"]))
        (early,), names = started(store, (1,), 2)
        early.join(0.3)
        assert early.is_alive()  # the first process is not here yet
        (late,), of_first = started(store, (0,), 2)
        for thread in (early, late):
            thread.join(20)
        assert names[1] == of_first[0] != "dead"


def test_a_start_knows_of_the_one_before_though_its_own_machine_has_counted_none(monkeypatch) -> None:
    server = TCPStore("localhost", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=20))
    environment = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(server.port), "WORLD_SIZE": "2"}
    for name, value in (environment | {"TORCHELASTIC_USE_AGENT_STORE": "True"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "0")
    assert not restarted()
    (first,), _ = started(server, (0,), 2)
    first.join(0.3)
    assert not restarted()  # the other one of this very start may still ask
    (second,), _ = started(TCPStore("localhost", server.port, is_master=False, wait_for_workers=False), (1,), 2)
    for thread in (first, second):
        thread.join(20)
    assert restarted()


@pytest.mark.parametrize(("count", "wanted"), [("0", False), ("1", True), ("3", True)])
def test_without_a_store_of_torchrun_s_what_it_has_counted_decides(monkeypatch, count, wanted) -> None:
    monkeypatch.delenv("TORCHELASTIC_USE_AGENT_STORE", raising=False)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", count)
    assert restarted() == wanted
