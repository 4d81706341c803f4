"""The book of leases, against a simple model of it."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from feeds.leases import LeaseBook
from feeds.messages import StillNeeded

VALID_S = 60.0
HOLDERS = ["sessions/a/account_manager", "sessions/a/data_source", "sessions/b/data_source"]
FEEDS = ["bars/SPY/60", "bars/ESZ13/60", "orders/SIM1"]
ACCOUNTS = ["SIM1", "SIM2"]

several_feeds = st.lists(st.sampled_from(FEEDS), unique=True).map(tuple)
several_accounts = st.lists(st.sampled_from(ACCOUNTS), unique=True).map(tuple)


class LeaseMachine(RuleBasedStateMachine):
    """The model: each holder's last word and how much of its time is left."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 100.0
        self.book = LeaseBook()
        self.left_s: dict[str, float] = {}
        self.words: dict[str, StillNeeded] = {}

    @rule(holder=st.sampled_from(HOLDERS), feeds=several_feeds, accounts=several_accounts)
    def speak(self, holder: str, feeds: tuple[str, ...], accounts: tuple[str, ...]) -> None:
        word = StillNeeded(holder, feeds, accounts)
        self.book = self.book.told(word, self.now_s, VALID_S)
        self.left_s[holder], self.words[holder] = VALID_S, word

    @rule(seconds=st.integers(1, 50))
    def time_passes(self, seconds: int) -> None:
        self.now_s += seconds
        self.left_s = {holder: left - seconds for holder, left in self.left_s.items()}

    @rule(seconds=st.integers(1, 500))
    def the_judge_was_late(self, seconds: int) -> None:
        """Time has passed for the clock, and for no lease."""
        self.now_s += seconds
        self.book = self.book.moved(float(seconds))

    @rule()
    def prune(self) -> None:
        self.book = self.book.pruned(self.now_s)
        self.left_s = {holder: left for holder, left in self.left_s.items() if left > 0}
        self.words = {holder: word for holder, word in self.words.items() if holder in self.left_s}

    @invariant()
    def what_is_needed_is_what_the_holders_last_said(self) -> None:
        assert self.book.feeds == sorted({feed for word in self.words.values() for feed in word.feeds})
        assert self.book.accounts == sorted({name for word in self.words.values() for name in word.accounts})

    @invariant()
    def shown_as_it_is(self) -> None:
        shown = self.book.shown(self.now_s)
        assert sorted(shown.feeds) == self.book.feeds
        for holders in shown.feeds.values():
            for holder, left_s in holders.items():
                assert left_s == self.left_s[holder]


TestLeaseMachine = LeaseMachine.TestCase


def test_a_lease_not_renewed_is_over_after_its_time() -> None:
    book = LeaseBook().told(StillNeeded("a", ("bars/SPY/60",), ()), 0.0, VALID_S)
    assert book.pruned(59.9).feeds == ["bars/SPY/60"]
    assert book.pruned(60.0).feeds == []


def test_one_that_needs_nothing_gives_its_lease_back_at_once() -> None:
    book = LeaseBook().told(StillNeeded("a", ("bars/SPY/60",), ("SIM1",)), 0.0, VALID_S)
    assert book.told(StillNeeded("a", (), ()), 1.0, VALID_S).holders == {}


def test_listening_is_prolonged_by_lateness() -> None:
    book = LeaseBook(listening_until_s=60.0).moved(30.0)
    assert book.listening(89.0)
    assert not book.listening(90.0)
