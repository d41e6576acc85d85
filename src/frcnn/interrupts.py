"""Ctrl-C, SIGTERM and a closed terminal between steps, never within one: a step half taken could not be resumed."""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any, NoReturn

from frcnn.errors import Terminated

Handler = Callable[[int, FrameType | None], Any] | signal.Handlers

INTERRUPTED, TERMINATED = 130, 143  # exit statuses: as a shell has them
HANG_UP = (signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()  # a terminal that is gone; Windows has none
TERMINATIONS = (signal.SIGTERM, *HANG_UP)
ENDS = (signal.SIGINT, *TERMINATIONS)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold back what asks for an end until the block is done, then let it come: it raises, unless ignored or held.

    A process forked within the block goes on holding it back.
    """
    pending: list[int] = []

    def remember(number: int, _: FrameType | None) -> None:
        pending.append(number)

    with _all_handled(remember, ENDS):
        yield
    if pending:
        signal.raise_signal(pending[0])  # what stood here before decides, as it would have without us


@contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Leave the end to another process, which ends this one as well; or to an end that is under way."""
    with _all_handled(signal.SIG_IGN, ENDS):
        yield


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """Ctrl-C ends the program here and now, for as long as it imports: numpy cannot be imported twice, nor by half."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    with _handled(_leave, signal.SIGINT):
        yield


@contextmanager
def termination_raised() -> Iterator[None]:
    """SIGTERM, or a terminal that is gone, raises `Terminated` within the block.

    Not where the program has a way of its own with it, such as to outlive its terminal by nohup.
    """
    with _all_handled(_terminate, [number for number in TERMINATIONS if signal.getsignal(number) is signal.SIG_DFL]):
        yield


def _leave(_: int, __: FrameType | None) -> NoReturn:
    os.write(2, b"frcnn: interrupted\n")
    os._exit(INTERRUPTED)


def _terminate(_: int, __: FrameType | None) -> NoReturn:
    raise Terminated


@contextmanager
def _all_handled(handler: Handler, numbers: Iterable[int]) -> Iterator[None]:
    with ExitStack() as stack:
        for number in numbers:
            stack.enter_context(_handled(handler, number))
        yield


@contextmanager
def _handled(handler: Handler, number: int) -> Iterator[None]:
    """Only the main thread is ever interrupted, and only Python's handlers can be put back."""
    before = signal.getsignal(number)
    if threading.current_thread() is not threading.main_thread() or before is None:
        yield
        return
    try:
        signal.signal(number, handler)
        yield
    finally:
        signal.signal(number, before)
