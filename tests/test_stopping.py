import os
import signal
import threading

import pytest

from pipeline import stopping
from pipeline.stopping import Stopped


def send(number):
    os.kill(os.getpid(), number)


def handlers():
    return [signal.getsignal(one) for one in stopping.SIGNALS]


@pytest.fixture(autouse=True)
def heard():
    """No signal is ignored, whatever started the tests: a shell's background jobs do not hear Ctrl-C."""
    before = {one: signal.getsignal(one) for one in stopping.SIGNALS}
    for one in before:
        signal.signal(one, signal.default_int_handler if one == signal.SIGINT else signal.SIG_DFL)
    yield
    for one, handler in before.items():
        signal.signal(one, handler)


@pytest.mark.parametrize("number", stopping.SIGNALS)
def test_a_signal_raises_what_ctrl_c_does(number):
    before = handlers()

    def stop():
        with stopping.by_signal():
            send(number)

    with pytest.raises(KeyboardInterrupt) as told:
        stop()
    assert told.value.signal == number
    assert handlers() == before


def test_a_signal_that_was_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping.by_signal():
            send(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_patient_work_goes_on_to_its_safe_point():
    before, said, done = handlers(), [], []

    def work():
        with stopping.patient(said.append):
            for number in range(5):
                done.append(number)
                if number == 2:
                    send(signal.SIGTERM)
                assert stopping.wished() == (number >= 2)
                if number == 3:
                    stopping.heed()

    with pytest.raises(Stopped, match="SIGTERM"):
        work()
    assert done == [0, 1, 2, 3]
    assert said == ["stopping at the next safe point; a second signal stops at once"]
    assert not stopping.wished()
    assert handlers() == before


def test_a_wish_without_a_safe_point_is_heeded_at_the_end():
    def work():
        with stopping.patient(lambda _: None):
            send(signal.SIGTERM)

    with pytest.raises(Stopped):
        work()


def test_a_second_signal_acts_at_once():
    reached = []

    def work():
        with stopping.by_signal(), stopping.patient(lambda _: None):
            send(signal.SIGTERM)
            reached.append("after the first")
            send(signal.SIGINT)
            reached.append("after the second")

    with pytest.raises(Stopped, match="SIGINT"):
        work()
    assert reached == ["after the first"]


def test_an_error_in_patient_work_is_not_hidden_by_a_wish():
    def work():
        with stopping.patient(lambda _: None):
            send(signal.SIGTERM)
            raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        work()
    assert not stopping.wished()


def test_another_thread_gets_no_signals_and_needs_no_patience():
    found = []

    def work():
        with stopping.patient(lambda _: None):
            found.append(stopping.wished())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]


def test_without_a_wish_nothing_stops():
    stopping.heed()
    assert not stopping.wished()
