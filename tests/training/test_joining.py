"""Processes find those of their own start, whatever an earlier one has left in the store."""

import json
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from torch.distributed import HashStore, TCPStore

from frcnn.training import joining
from frcnn.training.joining import begun_before, name_of_this_start, remember_begun, words_of_this_start


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


@pytest.fixture
def torchrun(monkeypatch) -> TCPStore:
    """What a process finds that torchrun has started: a store, and where it is."""
    server = TCPStore("localhost", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=20))
    environment = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(server.port), "TORCHELASTIC_RESTART_COUNT": "0"}
    for name, value in (environment | {"TORCHELASTIC_USE_AGENT_STORE": "True"}).items():
        monkeypatch.setenv(name, value)
    return server


def test_a_start_knows_what_the_one_before_has_begun_though_its_own_machine_has_counted_none(torchrun) -> None:
    """And that another folder is another run."""
    out = Path("runs/voc")
    assert not begun_before(out)
    remember_begun(out)
    assert begun_before(out)
    assert not begun_before(Path("runs/other"))


def test_what_another_torchrun_has_begun_is_not_gone_on_with_however_often_this_one_starts(
    torchrun, monkeypatch
) -> None:
    """The first start was refused: the second must be, too."""
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert not begun_before(Path("runs/voc"))


@pytest.mark.parametrize(("count", "wanted"), [("0", False), ("1", True), ("3", True)])
def test_without_a_store_of_torchrun_s_what_it_has_counted_decides(monkeypatch, count, wanted) -> None:
    monkeypatch.delenv("TORCHELASTIC_USE_AGENT_STORE", raising=False)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", count)
    remember_begun(Path("runs/voc"))  # there is nothing to write to
    assert begun_before(Path("runs/voc")) == wanted


def test_no_start_reads_the_last_words_of_another(torchrun, monkeypatch) -> None:
    """Of several machines each counts its restarts for itself, and none counts those for a machine that comes."""
    monkeypatch.setattr(joining, "_of_this_start", ["one"])
    words_of_this_start().set("error", "a picture")
    assert words_of_this_start().check(["error"])
    monkeypatch.setattr(joining, "_of_this_start", ["two"])
    assert not words_of_this_start().check(["error"])
