"""Ctrl-C between steps, never within one: a step half taken could not be resumed."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold back Ctrl-C until the block is done, then let it come: a KeyboardInterrupt, unless it is ignored or held."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread is ever interrupted
        yield
        return
    pending: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pending.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pending:
        signal.raise_signal(signal.SIGINT)  # what stood here before decides, as it would have without us


@contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Leave Ctrl-C to another process, which ends this one as well."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
