"""Groups with real processes: joined, listed, published to, from inside and outside; the dead leave them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.control.client import Client
from supervisor.errors import Refused
from supervisor.messages import ChildSpec
from tests.supervisor.group_toys import Move, ReadWords, Spread, Word, member
from tests.supervisor.test_processes import LIMIT_S, Desk
from tests.supervisor.toys import GATE_LIMIT_S, worker

NAMES = ("spare/x", "spare/y", "spare/z")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """x and y are born into the group, z is not."""
    made = Desk(tmp_path / "home")
    for name, groups in zip(("x", "y", "z"), (("traders",), ("traders", "testers"), ()), strict=True):
        made.client.start_child("spare", member(name, *groups))
    yield made
    made.client.close()
    made.process.terminate()
    assert made.process.wait(LIMIT_S) == 0
    assert made.process.stderr is not None
    made.process.stderr.close()


def heard(desk: Desk, name: str) -> tuple[str, ...]:
    return desk.client.call(ReadWords(), to=name).words


def test_who_is_in_a_group_is_listed_and_shown_in_the_tree(desk: Desk) -> None:
    assert desk.client.members("traders") == ("spare/x", "spare/y")
    assert desk.client.members("testers") == ("spare/y",)
    assert desk.client.members("nobody") == ()
    child = desk.child("spare/y")
    assert child is not None
    assert child.groups == ("testers", "traders")


def test_a_message_from_outside_reaches_each_member_once_and_nobody_else(desk: Desk) -> None:
    assert desk.client.publish("traders", Word("hello")) == ("spare/x", "spare/y")
    desk.until(lambda: [heard(desk, name) for name in NAMES] == [("hello",), ("hello",), ()])


def test_a_child_publishes_to_a_group_that_it_need_not_be_in(desk: Desk) -> None:
    assert desk.client.call(Spread("traders", "go"), to="spare/z").names == ("spare/x", "spare/y")
    desk.until(lambda: [heard(desk, name) for name in NAMES] == [("go",), ("go",), ()])


def test_members_come_and_go_by_their_own_word(desk: Desk) -> None:
    desk.client.call(Move("traders", join=True), to="spare/z")
    desk.client.call(Move("traders", join=False), to="spare/x")
    desk.client.call(Move("traders", join=False), to="spare/x")
    assert desk.client.members("traders") == ("spare/y", "spare/z")


def test_the_dead_have_left_and_the_next_incarnation_is_in_the_groups_of_its_spec_only(desk: Desk) -> None:
    desk.client.call(Move("night", join=True), to="spare/x")
    before = desk.pid("spare/x")
    os.kill(before, signal.SIGKILL)
    desk.again("spare/x", before)
    assert desk.client.members("night") == ()
    assert desk.client.members("traders") == ("spare/x", "spare/y")
    desk.client.terminate_child("spare/y")
    assert desk.client.members("traders") == ("spare/x",)
    assert desk.client.publish("traders", Word("still")) == ("spare/x",)


def test_one_that_is_not_ready_is_not_a_member_yet(desk: Desk) -> None:
    gate = desk.home / "gate"
    spec = worker("slow", groups=("traders",), start_limit_s=GATE_LIMIT_S, arguments={"gate": str(gate)})
    starting = threading.Thread(target=start, args=(desk, spec))
    starting.start()
    desk.until(lambda: desk.state("spare/slow") == "starting")
    assert desk.client.members("traders") == ("spare/x", "spare/y")
    gate.touch()
    starting.join()
    assert desk.client.members("traders") == ("spare/slow", "spare/x", "spare/y")


def start(desk: Desk, spec: ChildSpec) -> None:
    with Client(str(desk.home)) as client:
        client.start_child("spare", spec)


def test_a_group_s_name_must_be_one_and_a_child_is_in_sixteen_at_most(desk: Desk) -> None:
    with pytest.raises(Refused, match=r"bad_request: '../up' cannot be a group's name"):
        desk.client.call(Move("../up", join=True), to="spare/z")
    for number in range(16):
        desk.client.call(Move(f"g{number}", join=True), to="spare/z")
    with pytest.raises(Refused, match="is in 16 groups, at most 16"):
        desk.client.call(Move("g16", join=True), to="spare/z")
    assert desk.client.members("g15") == ("spare/z",)
