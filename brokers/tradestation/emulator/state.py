"""The whole state of one emulator, changed only by ``app`` and ``advance``. PURE.

``ledger`` is what the book remembers; ``market`` never changes; streams and steps live and die with the process.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from brokers.tradestation.emulator import book, steps, streams
from brokers.tradestation.emulator.errors import BookError, OptionError
from brokers.tradestation.emulator.fault_rules import FaultRules, Rule, Scope
from brokers.tradestation.emulator.ledger import Ledger
from brokers.tradestation.emulator.limits import Limits
from brokers.tradestation.emulator.market import Market
from brokers.tradestation.emulator.order import Order
from brokers.tradestation.emulator.paging import Pages
from brokers.tradestation.emulator.rules import RULES, Rules
from brokers.tradestation.emulator.steps import Step
from brokers.tradestation.emulator.switches import Switches
from brokers.tradestation.emulator.values import Code, Now

PERIOD_S_MIN = 0.05  # a heartbeat more often than this is a load test, not a heartbeat
PERIOD_S_MAX = 86_400.0
DEFAULT_ACCOUNTS = (
    book.AccountSpec("SIM100001F", "Futures", Decimal(100_000)),
    book.AccountSpec("SIM100001M", "Margin", Decimal(100_000)),
)


class Settings(msgspec.Struct, frozen=True):
    """What an emulator is started with. Times are machine seconds; the defaults are the venue's."""

    accounts: tuple[book.AccountSpec, ...] = DEFAULT_ACCOUNTS
    heartbeat_s: float = 5.0
    token_lifetime_s: float = 1200.0
    rotate_refresh_tokens: bool = False
    client_id: str = "demo-client"
    client_secret: str = "demo-secret"
    refresh_token: str = "demo-refresh"
    authorization_code: str = "demo-code"
    rules: Rules = RULES
    every_print: bool = True
    """Streams show each print, as the venue's do: the forming bar and the position's value. False: only what has
    changed for good, closed bars and positions themselves (a tester's desk would drop the rest unread)."""
    switches: Switches = Switches()


def check_settings(settings: Settings) -> None:
    """Raises OptionError."""
    names = [one.account for one in settings.accounts]
    if not names or len(set(names)) < len(names):
        raise OptionError(f"accounts must be at least one and each named once, got {', '.join(names) or 'none'}")
    for name, value_s in (("heartbeat_s", settings.heartbeat_s), ("token_lifetime_s", settings.token_lifetime_s)):
        if not PERIOD_S_MIN <= value_s <= PERIOD_S_MAX:
            raise OptionError(f"{name} must be from {PERIOD_S_MIN} to {PERIOD_S_MAX:g} seconds, got {value_s:g}")


class Lag(msgspec.Struct, frozen=True):
    """``until_s``: machine time. ``orders``: as they were when it began."""

    until_s: float
    orders: dict[str, Order]


class State:
    """One emulator. ``fresh`` are the entries that whoever runs it has still to write (``take_entries``)."""

    def __init__(self, settings: Settings, market: Market) -> None:
        self.settings = settings
        self.market = market
        self.switches = settings.switches
        self.ledger = Ledger()
        self.limits = Limits()
        self.fault_rules = FaultRules()
        self.steps: dict[str, Step | None] = {}
        self.streams: dict[int, streams.Stream] = {}
        self.streams_opened = 0
        self.struck: dict[str, Rule] = {}
        """The faults that act on the request being answered."""
        self.hidden_until_s: dict[str, float] = {}
        """Orders that no list shows before this machine time (fault: late booking)."""
        self.lagging: dict[str, Lag] = {}
        """By account, what is told of its orders meanwhile (fault: orders lag)."""
        self.inert: set[str] = set()
        """Orders that are never triggered (fault: inert stop)."""
        self.pages = Pages()
        self.codes: dict[str, Code] = {}
        self.fresh: list[book.Entry] = []

    @property
    def rules(self) -> Rules:
        """Those of the book, where it has any: they were changed while it ran."""
        return self.ledger.rules or self.settings.rules

    def record(self, event: book.Event, now: Now) -> None:
        """The only door by which anything lasting changes."""
        entry = book.Entry(self.ledger.number + 1, now.machine_s, now.market_utc, event)
        before = self.ledger.orders.get(event.order_id) if isinstance(event, book.OfOrder) else None
        if before is not None and not before.is_open and not isinstance(event, book.OrderShown):
            raise ValueError(f"order {before.order_id} has ended ({before.status}): no {type(event).__name__} follows")
        self.ledger.apply(entry)
        self.fresh.append(entry)
        if isinstance(event, book.OfOrder):
            steps.watch(self, event)
            if before is not None and isinstance(event, book.OrderFilled) and self.fault_rules.asks("book"):
                self._lag(before, now)
            streams.tell(self, event, before, now)
        elif isinstance(event, book.RulesChanged):
            for order_id in self.ledger.open_ids:
                steps.rewatch(self, order_id)

    def _lag(self, before: Order, now: Now) -> None:
        """By the fault of orders that lag behind positions, from this fill on."""
        about = Scope(symbols=(before.symbol,), accounts=(before.account,), orders=(before.order_id,))
        for rule in self.fault_rules.hits("book", about, now.machine_s):
            as_they_were = {**self.ledger.orders, before.order_id: before}
            until_s = now.machine_s + rule.seconds
            self.lagging[before.account] = Lag(until_s, as_they_were)
            for stream in self.streams.values():
                if stream.kind == "orders" and before.account in stream.accounts:
                    stream.stalled_until_s = max(stream.stalled_until_s, until_s)

    def take_entries(self) -> list[book.Entry]:
        entries, self.fresh = self.fresh, []
        return entries


def new_state(settings: Settings, market: Market, now: Now) -> State:
    """A first start: an empty book."""
    state = State(settings, market)
    state.record(book.Opened(settings.accounts), now)
    return state


def rebuilt(settings: Settings, market: Market, entries: list[book.Entry]) -> State:
    """State after the last entry of a book. Raises BookError where the book is of other accounts or symbols."""
    state = State(settings, market)
    for entry in entries:
        state.ledger.apply(entry)
    opened = entries[0].what
    if isinstance(opened, book.Opened) and opened.accounts != settings.accounts:
        raise BookError(
            f"the book was begun with the accounts {_names(opened.accounts)}, the emulator was started with "
            f"{_names(settings.accounts)}: start it with the same ones, or with another book"
        )
    for order_id in state.ledger.open_ids:
        symbol = state.ledger.orders[order_id].symbol
        if market.series(symbol) is None:
            raise BookError(f"order {order_id} in the book is for {symbol}, of which no bars were loaded")
        steps.rewatch(state, order_id)
    return state


def _names(accounts: tuple[book.AccountSpec, ...]) -> str:
    return ", ".join(f"{one.account}:{one.kind}:{one.cash_usd}" for one in accounts) or "(none)"
