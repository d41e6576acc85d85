"""The processes that load pictures: forks that leave Ctrl-C to their parent, and whose death is one plain error."""

import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterator
from types import FrameType, TracebackType
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as Map

from frcnn.errors import LoadingError
from frcnn.interrupts import interrupts_held

PREFETCH = 2  # batches that each worker keeps ready: what bounds their memory
# Forking starts at once, and needs no guard in a user's script; elsewhere it is unsafe (macOS) or absent (Windows).
_START_METHOD = "fork" if sys.platform == "linux" else "spawn"
_GRACE = 0.2  # seconds between the signals to one process and another, where all of them are ended
KILLED = (
    "a process that loads pictures was killed, most likely because memory (or a container's shared memory) ran out: "
    "lower data.workers or the batch size"
)

Loaded = TypeVar("Loaded")


def in_processes(pictures: Map[Loaded], orders: Iterator[Any], workers: int) -> Generator[Loaded, None, None]:
    """The pictures of each order, in turn; the processes end with this generator, however it ends.

    Raises LoadingError where one of them dies.
    """
    running = _started(pictures, orders, workers)
    try:
        while True:
            try:
                loaded = _next(running)
            except StopIteration:
                return
            except (RuntimeError, ConnectionError, EOFError) as error:
                if isinstance(error, RuntimeError) and "DataLoader worker" not in str(error):
                    raise
                time.sleep(_GRACE)  # who ends all processes, ends this one in its own way
                raise LoadingError(KILLED) from error
            yield loaded
    finally:
        with interrupts_held():  # Python passes over what is raised while an object is taken away
            del running  # ends the processes


def _next(running: Iterator[Loaded]) -> Loaded:
    _Deaths.awaited = True
    try:
        return next(running)
    finally:
        _Deaths.awaited = False


def _started(pictures: Map[Any], orders: Iterator[Any], workers: int) -> Iterator[Any]:
    with interrupts_held(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # more workers than cores, and a fork beside threads: both are meant
        loader = DataLoader(
            pictures,
            batch_size=None,
            sampler=orders,
            num_workers=workers,
            prefetch_factor=PREFETCH if workers else None,
            collate_fn=_as_it_is,
            worker_init_fn=_leave_the_end_to_the_parent,
            multiprocessing_context=_START_METHOD if workers else None,
            generator=torch.Generator(),  # it draws a seed: not from the generator that training draws from
        )
        running = iter(loader)
        _Deaths.take_over()
        return running


def _as_it_is(loaded: Any) -> Any:
    return loaded


def _leave_the_end_to_the_parent(_: int) -> None:
    """Ctrl-C is for the parent, which then ends its workers; what it had asked for last, it does not wait for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.excepthook = _say_what_is_wrong


def _say_what_is_wrong(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """multiprocessing's thread that hands over pictures has nobody to hand them to: that is no error."""
    if not isinstance(error, EOFError | ConnectionError):
        sys.__excepthook__(kind, error, trace)


class _Deaths:
    """torch's handler for the death of a loading process, which raises wherever the main thread happens to be.

    Half a step, or a file half written, is no place for that: this one passes it on while pictures are waited for.
    A death at another time is found at the next wait, within five seconds.
    """

    awaited = False

    def __init__(self, handler: Callable[[int, FrameType | None], Any]) -> None:
        self.handler = handler

    @classmethod
    def take_over(cls) -> None:
        """Stand before the handler that there is now."""
        if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
            return
        handler = signal.getsignal(signal.SIGCHLD)
        if callable(handler) and not isinstance(handler, cls):
            signal.signal(signal.SIGCHLD, cls(handler))

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """A child of this process has ended."""
        try:
            self.handler(number, frame)
        except RuntimeError:
            if _Deaths.awaited:
                raise
