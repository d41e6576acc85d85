"""Ctrl-C and SIGTERM between steps: never within a block that holds them back, and never lost."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from frcnn.errors import Terminated
from frcnn.interrupts import interrupts_held, interrupts_ignored, termination_raised


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


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_sigterm_comes_as_ctrl_c_does_within_the_block_alone() -> None:
    with pytest.raises(Terminated), termination_raised():
        terminate()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_sigterm_is_held_too_and_the_first_of_both_decides() -> None:
    done = []

    def work(*signals) -> None:
        with termination_raised(), interrupts_held():
            for send in signals:
                send()
            done.append("block")

    with pytest.raises(Terminated):
        work(terminate, ctrl_c)
    with pytest.raises(KeyboardInterrupt) as caught:
        work(ctrl_c, terminate)
    assert not isinstance(caught.value, Terminated)
    assert done == ["block"] * 2
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_who_is_left_to_another_process_is_not_terminated_either() -> None:
    with termination_raised(), interrupts_ignored():
        terminate()


def test_a_program_with_a_way_of_its_own_with_sigterm_keeps_it() -> None:
    done = []
    before = signal.signal(signal.SIGTERM, lambda *_: done.append("handler"))
    try:
        with termination_raised():
            terminate()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert done == ["handler"]


LEAVING = """
import os, signal
from frcnn.interrupts import leaving_at_once
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    with leaving_at_once():
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except BaseException:
            print("swallowed, as by an import")
finally:
    print("tidied up")
"""


def test_who_leaves_at_once_is_stopped_by_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", LEAVING], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "frcnn: interrupted\n")
