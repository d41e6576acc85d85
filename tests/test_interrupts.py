"""Ctrl-C between steps: never within a block that holds it back, and never lost."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from frcnn.interrupts import interrupts_held, interrupts_ignored


@pytest.fixture(autouse=True)
def python_s_own_handler() -> Iterator[None]:
    """As in a program that was just started, whatever runs these tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_within_the_block_comes_after_it() -> None:
    done = []

    def work() -> None:
        with interrupts_held():
            ctrl_c()
            done.append("block")
        done.append("what follows")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["block"]


def test_ctrl_c_pressed_often_comes_once() -> None:
    def work() -> None:
        with interrupts_held():
            for _ in range(3):
                ctrl_c()

    with pytest.raises(KeyboardInterrupt):
        work()
    with interrupts_held():  # nothing is left over for the next block
        pass


def test_without_ctrl_c_nothing_is_raised_and_the_handler_is_put_back() -> None:
    with interrupts_held():
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_after_an_interrupt_ctrl_c_works_as_before() -> None:
    with pytest.raises(KeyboardInterrupt), interrupts_held():
        ctrl_c()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt):
        ctrl_c()


@pytest.mark.parametrize("interrupted", [False, True])
def test_an_error_in_the_block_comes_out_as_itself(interrupted: bool) -> None:
    """It says what is wrong, and stops the work as Ctrl-C would."""

    def work() -> None:
        with interrupts_held():
            if interrupted:
                ctrl_c()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_block_within_a_block_does_not_let_ctrl_c_into_the_outer_one() -> None:
    done = []

    def work() -> None:
        with interrupts_held():
            with interrupts_held():
                ctrl_c()
                done.append("inner")
            done.append("outer")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["inner", "outer"]


def test_who_ignores_ctrl_c_is_not_interrupted() -> None:
    """A shell's script ignores it for what it runs in the background: Ctrl-C is then meant for the script."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interrupts_held():
        ctrl_c()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_handler_of_the_program_s_own_is_called_once_and_after_the_block() -> None:
    done = []
    signal.signal(signal.SIGINT, lambda *_: done.append("handler"))
    with interrupts_held():
        ctrl_c()
        ctrl_c()
        done.append("block")
    assert done == ["block", "handler"]


def test_other_threads_leave_the_handler_alone() -> None:
    """Python lets the main thread alone set one, and interrupts no other."""
    seen = []

    def work() -> None:
        with interrupts_held():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


def test_ctrl_c_that_is_left_to_another_process_does_nothing_even_where_it_is_held() -> None:
    with interrupts_ignored():
        ctrl_c()
        with interrupts_held():
            ctrl_c()
        ctrl_c()
    with pytest.raises(KeyboardInterrupt):
        ctrl_c()


def test_other_threads_ignore_nothing() -> None:
    seen, failures = [], []

    def work() -> None:
        try:
            with interrupts_ignored():
                seen.append(signal.getsignal(signal.SIGINT))
        except ValueError as error:  # Python lets the main thread alone set one
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert failures == []
    assert seen == [signal.default_int_handler]
