"""A home, a lock and sockets that somebody takes away under a supervisor that runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import zmq

from supervisor.core.tree import Record
from supervisor.errors import HomeTaken
from supervisor.runtime.home import LOCK_FILE, owner_of, take_home
from supervisor.runtime.place import LOOK_EVERY_S, Place
from supervisor.runtime.settings import Settings
from supervisor.wire.peers import BINDS_MAX, Bound, new_socket


class Watched:
    """A home that is taken, and what is told of it."""

    def __init__(self, home: Path) -> None:
        self.home, self.told = home, list[Record]()
        self.lock, _ = take_home(Settings(home=str(home)))
        self.place = Place(str(home), self.told.append)
        self.place.look(0.0)

    def kinds(self) -> list[str]:
        """After one more look."""
        self.place.look(0.0)
        return [each.kind for each in self.told]


@pytest.fixture
def watched(tmp_path: Path):  # type: ignore[no-untyped-def]
    (tmp_path / "home").mkdir()
    made = Watched(tmp_path / "home")
    yield made
    made.place.close()
    os.close(made.lock)


def test_a_home_that_nobody_touches_is_looked_at_and_nothing_is_told(watched: Watched) -> None:
    assert watched.kinds() == []
    assert watched.place.next_look_s == LOOK_EVERY_S


def test_a_home_that_is_moved_is_paged_once_and_over_when_it_is_back(watched: Watched) -> None:
    watched.home.rename(watched.home.with_name("moved"))
    watched.kinds()
    assert watched.kinds() == ["home.lost"]
    assert (watched.told[0].level, watched.told[0].incident_state) == ("PAGE", "opened")
    assert f"kill {os.getpid()}" in watched.told[0].text
    assert "nothing is started" in watched.place.refuses()
    watched.home.mkdir()  # another folder under its name is not the home
    assert watched.kinds() == ["home.lost"]
    watched.home.rmdir()
    watched.home.with_name("moved").rename(watched.home)
    assert watched.kinds() == ["home.lost", "home.found"]
    assert watched.told[1].incident == watched.told[0].incident
    assert watched.place.refuses() == ""


def test_a_lock_that_is_removed_is_made_again_and_keeps_a_second_supervisor_away(watched: Watched) -> None:
    (watched.home / LOCK_FILE).unlink()
    assert owner_of(str(watched.home)) == 0
    assert watched.kinds() == ["home.lock_renewed"]
    assert owner_of(str(watched.home)) == os.getpid()
    with pytest.raises(HomeTaken):
        take_home(Settings(home=str(watched.home)))
    assert watched.kinds() == ["home.lock_renewed"]


def test_a_second_supervisor_that_was_quicker_is_paged_once(watched: Watched) -> None:
    (watched.home / LOCK_FILE).unlink()
    second, _ = take_home(Settings(home=str(watched.home)))
    watched.kinds()
    assert watched.kinds() == ["home.lock_lost"]
    assert watched.told[0].level == "PAGE"
    assert f"pid {os.getpid()}" in watched.told[0].text
    os.close(second)
    assert watched.kinds() == ["home.lock_lost", "home.lock_renewed"]


class Answering:
    """A ROUTER under a name, and dealers that ask it."""

    def __init__(self, folder: Path) -> None:
        self.context = zmq.Context[zmq.Socket[bytes]]()
        self.path = folder / "run" / "x.sock"
        self.path.parent.mkdir()
        self.router = new_socket(self.context, zmq.ROUTER)
        self.bound = Bound(self.router, f"ipc://{self.path}")

    def dealer(self) -> zmq.Socket[bytes]:
        dealer = new_socket(self.context, zmq.DEALER)
        dealer.connect(f"ipc://{self.path}")
        return dealer

    def hears(self, dealer: zmq.Socket[bytes]) -> bool:
        dealer.send(b"?")
        if not self.router.poll(2000, zmq.POLLIN):
            return False
        who, _ = self.router.recv_multipart()
        self.router.send_multipart([who, b"!"])
        return bool(dealer.poll(2000, zmq.POLLIN)) and dealer.recv() == b"!"


@pytest.fixture
def answering(tmp_path: Path):  # type: ignore[no-untyped-def]
    made = Answering(tmp_path)
    yield made
    made.context.destroy(linger=0)


@pytest.mark.parametrize("with_folder", [False, True])
def test_a_socket_whose_file_was_removed_is_had_again_and_who_was_in_stays_in(
    answering: Answering, with_folder: bool
) -> None:
    before = answering.dealer()
    assert answering.hears(before)
    assert not answering.bound.again()
    answering.path.unlink()
    if with_folder:
        answering.path.parent.rmdir()
    assert answering.bound.again()
    assert answering.path.stat().st_mode & 0o777 == 0o600
    assert answering.hears(answering.dealer())
    assert answering.hears(before)


def test_a_socket_of_a_home_that_is_gone_is_not_made_anywhere(answering: Answering, tmp_path: Path) -> None:
    (tmp_path / "run").rename(tmp_path / "gone")
    tmp_path.rename(tmp_path.with_name(f"{tmp_path.name}-moved"))
    with pytest.raises(OSError, match="No such file"):
        answering.bound.again()
    tmp_path.with_name(f"{tmp_path.name}-moved").rename(tmp_path)


def test_a_socket_is_not_made_in_a_folder_that_somebody_else_has_put_there(
    answering: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering.path.unlink()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(OSError, match="belongs to uid"):
        answering.bound.again()
    assert not answering.path.exists()


def test_one_that_is_removed_without_end_is_given_up_and_said_so(answering: Answering) -> None:
    for _ in range(BINDS_MAX - 1):
        answering.path.unlink()
        assert answering.bound.again()
    answering.path.unlink()
    with pytest.raises(OSError, match=f"removed {BINDS_MAX} times"):
        answering.bound.again()
