import torch

from frcnn.benchmarking import timing
from frcnn.benchmarking.timing import by_turns, seconds_of, wait_for


def test_works_run_by_turns_and_once_more_than_is_counted():
    calls = []
    by_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, runs=3)
    assert calls == ["a", "b"] * 4


def test_the_median_leaves_the_first_turn_out(monkeypatch):
    taken = {"a": iter([9.0, 1.0, 5.0, 2.0]), "b": iter([0.0, 7.0, 7.0, 8.0])}
    monkeypatch.setattr(timing, "seconds_of", lambda work, device: next(taken[work()]))
    assert by_turns({"a": lambda: "a", "b": lambda: "b"}, runs=3) == {"a": 2.0, "b": 7.0}


def test_seconds_are_those_of_the_call(monkeypatch):
    clock = iter([10.0, 12.5])
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(clock))
    assert seconds_of(lambda: None) == 2.5


def test_cuda_alone_is_waited_for(monkeypatch):
    waited = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    wait_for("cpu")
    wait_for(torch.device("cuda:1"))
    assert waited == [torch.device("cuda:1")]
