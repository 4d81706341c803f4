"""No number of an order key is used twice, whatever is brought back: of the journal, of its file, of both."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from supervisor.errors import StoreFailed
from trader.manager.key_numbers import BLOCK, KeyNumbers

KEY = "A" * 12


class Disk:
    """The small file; ``broken``: it can be neither read nor written."""

    def __init__(self) -> None:
        self.data: bytes | None = None
        self.broken = False
        self.writes = 0

    def read(self) -> bytes | None:
        if self.broken:
            raise StoreFailed("no")
        return self.data

    def write(self, data: bytes) -> None:
        if self.broken:
            raise StoreFailed("the disk is full")
        self.data, self.writes = data, self.writes + 1


class Owner:
    """An account manager as far as its keys go. ``newest`` and ``key`` are what its journal has."""

    def __init__(self, disk: Disk) -> None:
        self.disk, self.key, self.newest, self.drawn = disk, KEY, 0, 0
        self.start(fresh=True)

    def start(self, *, fresh: bool = False) -> None:
        self.numbers = KeyNumbers(self.disk, self.key, self.newest, fresh=fresh)
        if self.numbers.unknown:
            self.drawn += 1
            self.key = f"key {self.drawn}"
            self.numbers.take_key(self.key)
        self.next_number = self.numbers.next_number

    def place(self) -> tuple[str, int]:
        self.newest = max(self.newest + 1, self.next_number)
        self.numbers.reserve(self.newest)
        return self.key, self.newest

    def calm(self) -> None:
        self.numbers.take_ahead(max(self.newest + 1, self.next_number))


@given(st.lists(st.sampled_from(["place", "place", "place", "calm", "start", "copy", "restore", "lose"]), max_size=120))
def test_no_key_is_used_twice_over_any_history_of_restarts_and_copies_brought_back(acts: list[str]) -> None:
    disk = Disk()
    owner = Owner(disk)
    copy, used = (owner.key, owner.newest), set()
    for act in acts:
        if act == "place":
            key = owner.place()
            assert key not in used
            used.add(key)
        elif act == "calm":
            owner.calm()
        elif act == "copy":
            copy = (owner.key, owner.newest)
        elif act == "restore":
            owner.key, owner.newest = copy
            owner.start()
        elif act == "lose" and owner.newest:
            disk.data = None
            owner.start()
        else:
            owner.start()


def test_the_file_is_written_once_in_a_block_and_before_its_first_number_is_used() -> None:
    disk = Disk()
    owner = Owner(disk)
    begun = disk.writes
    for _ in range(BLOCK):
        owner.place()
        assert disk.writes == begun + 1
    owner.place()
    assert disk.writes == begun + 2


def test_with_a_calm_moment_before_each_placing_none_but_the_first_waits_for_the_file() -> None:
    disk = Disk()
    owner = Owner(disk)
    owner.place()
    for _ in range(3 * BLOCK):
        owner.calm()
        before = disk.writes
        owner.place()
        assert disk.writes == before


@given(st.lists(st.sampled_from(["place", "calm", "start"]), max_size=80))
def test_numbers_taken_ahead_make_no_journal_look_older_than_it_is(acts: list[str]) -> None:
    owner = Owner(Disk())
    for act in acts:
        {"place": owner.place, "calm": owner.calm, "start": owner.start}[act]()
        assert not owner.numbers.behind


def test_a_session_that_never_placed_keeps_its_key_over_restarts() -> None:
    owner = Owner(Disk())
    owner.start()
    assert owner.key == KEY


def test_an_older_journal_is_told_and_a_fresh_restart_is_not() -> None:
    disk = Disk()
    owner = Owner(disk)
    for _ in range(2 * BLOCK + 1):
        owner.place()
    assert not KeyNumbers(disk, KEY, owner.newest).behind
    assert KeyNumbers(disk, KEY, 3).behind


def test_a_file_that_cannot_be_used_stops_nothing_and_says_so() -> None:
    disk = Disk()
    owner = Owner(disk)
    disk.broken = True
    owner.place()
    assert "the disk is full" in owner.numbers.trouble
    disk.broken = False
    owner.place()
    assert owner.numbers.trouble == ""
    disk.data = b"{garbled"
    assert KeyNumbers(disk, KEY, 5).unknown
