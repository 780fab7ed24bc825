"""Processes that meet at a store, real ones: calls, failures told once, and ends."""

import os
import socket
import sys
import traceback
from datetime import timedelta

import pytest
import torch
from torch import distributed

from pipeline.errors import GessoError
from pipeline.training import crew
from pipeline.training.crew import Crew, Place
from pipeline.training.team import ALONE, Team


def places():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    return [Place(rank, 2, rank, "127.0.0.1", port, kept=False) for rank in range(2)]


@pytest.fixture
def meet():
    """A leader whose follower, a child process, does `train` at each call; and how the child ended, once asked."""
    children = []

    def met(train, alive=lambda: ""):
        first, second = places()
        child = os.fork()
        if not child:
            code = 1
            try:
                Crew(second).follow(train)
                code = 0
            except GessoError:
                code = 3
            except BaseException:
                traceback.print_exc(file=sys.__stderr__)
            finally:
                os._exit(code)
        children.append(child)
        return Crew(first, alive=alive), lambda: os.waitstatus_to_exitcode(os.waitpid(children.pop(), 0)[1])

    yield met
    for child in children:
        os.kill(child, 9)
        os.waitpid(child, 0)


def add(word, ready):
    with ready(gpu=False):
        Team.here().sum(word["number"])


def sum_of(leader, word, error=None):
    with leader.training(word, gpu=False):
        Team.here().sum(1)
        if error:
            raise error


def test_trainings_follow_each_other_and_the_end_lets_all_go(meet):
    leader, ended = meet(add)
    with leader.leading():
        for number in (3, 4):
            with crew.training({"number": number}, gpu=False):
                assert Team.here() == Team(0, 2)
                assert Team.here().sum(10) == 10 + number
            assert Team.here() == ALONE
    assert ended() == 0
    with crew.training({}, gpu=False):  # no crew: nobody is called
        assert Team.here() == ALONE


def test_a_failure_of_another_is_what_the_leader_says(meet):
    def fail(word, ready):
        if word["when"] == "before":
            raise GessoError("no such model")
        with ready(gpu=False):
            raise GessoError("no memory")

    for when, said in (("before", "no such model"), ("within", "no memory")):
        leader, ended = meet(fail)
        with leader.leading(), pytest.raises(GessoError, match=rf"^the 2 processes .* ended: process 1: {said}$"):
            sum_of(leader, {"when": when})
        assert ended() == 3


def test_a_process_that_dies_ends_the_training(meet):
    def die(word, ready):
        with ready(gpu=False):
            os._exit(9)

    leader, ended = meet(die)
    with leader.leading(), pytest.raises(GessoError, match="the 2 processes of this training ended: "):
        sum_of(leader, {})
    assert ended() == 9


def test_one_that_ended_before_it_was_called_is_not_waited_for(meet):
    leader, _ = meet(add, alive=lambda: "process 1 ended with -9")
    with leader.leading(), pytest.raises(GessoError, match="process 1 ended with -9"):
        sum_of(leader, {"number": 1})


def test_the_leaders_own_failure_stays_its_own_and_lets_the_other_go(meet):
    def add_twice(word, ready):
        with ready(gpu=False):
            Team.here().sum(1)
            if word["fails"]:
                Team.here().sum(1)

    leader, ended = meet(add_twice)
    with leader.leading():
        with pytest.raises(GessoError, match=r"^exploded$"):
            sum_of(leader, {"fails": True}, GessoError("exploded"))
        sum_of(leader, {"fails": False})  # a trial that was left is followed by another
    assert ended() == 0


def test_those_whose_leader_is_gone_end():
    first, second = places()
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            store = Crew(first)
            os.read(read, 1)
            del store
        finally:
            os._exit(9)
    follower = Crew(second)
    os.write(write, b".")
    follower.follow(add)
    os.waitpid(child, 0)
    os.close(read)
    os.close(write)


def test_those_that_cannot_meet_say_so_in_words(monkeypatch):
    first, second = places()
    monkeypatch.setattr(crew, "MEETING", timedelta(seconds=1))
    with pytest.raises(
        GessoError, match=rf"2 processes of this training cannot meet at 127.0.0.1:{second.port} .*MASTER_PORT"
    ):
        Crew(second)
    with socket.socket() as other:
        other.bind(("127.0.0.1", first.port))
        other.listen()
        with pytest.raises(GessoError, match="no other program has its port"):
            Crew(first)


@pytest.mark.parametrize("names", crew.NAMES)
def test_a_place_is_taken_out_of_the_environment(names):
    rank, processes, local = names
    given = {rank: "3", processes: "4", local: "1", "MASTER_ADDR": "host", "MASTER_PORT": "5", "HOME": "/"}
    assert crew.enlist(given) == Place(3, 4, 1, "host", 5, kept=False)
    assert given == {"HOME": "/"}
    assert crew.enlist({rank: "0", processes: "1"}) is None
    assert crew.enlist({}) is None
    assert not distributed.is_initialized()
    assert torch.get_num_threads() >= 1
