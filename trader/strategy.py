"""What a user writes: a class derived from Strategy. It declares the exposure it wants; the desk makes the difference.

    from decimal import Decimal
    from trader.strategy import Bar, Strategy

    class FirstBreakout(Strategy):
        def setup(self) -> None:
            for symbol in self.symbols:
                self.subscribe(symbol, minutes=1, warm_up=20)

        def on_bar(self, bar: Bar) -> None:
            highest = max(past.high for past in self.bars(bar.symbol, 21)[:-1])
            if bar.close > highest:
                self.target(bar.symbol, 1, stop=bar.close * Decimal("0.998"))

A hook has no effect of its own: what it declares, ``self.state`` and the bar it consumed are committed as one by the
account manager, and only then sent. A bar whose turn was not committed comes again. So a hook should only compute: it
reaches no network, no file and no clock but ``self.now``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from decimal import Decimal
from itertools import islice
from typing import Any, Final, Literal

import msgspec

from brokers.model import Bar as BrokerBar
from brokers.model import Quote, Trail
from trader.hosting.timers import TIMERS_MAX, BadTimer, Timer, timer
from trader.hours.market_hours import Phase as Phase
from trader.messages import Declared, FillRow, Need, PositionView, RejectRow

RESUME: Final = "resume"
"""Returned by ``on_sync``: take up again what was declared before the divergence, through all gates."""

BARS_KEPT = 5000
"""Closed bars of a series that ``self.bars`` can give."""

OFF: Final = "off"
"""Given to ``target`` instead of a take or a trail: there is to be none any more. (Left out, it stays as it is.)"""

PERCENT_END = 100

DIGITS_MAX = 15
"""Before and behind the point of a quantity or a price: more is a slip in a formula, and no arithmetic stays exact."""

Number = Decimal | int | float
Take = Number | Literal["off"] | None
Following = Number | Trail | Literal["off"] | None
"""How far a stop follows the market."""
Fill = FillRow
Reject = RejectRow
Position = PositionView


class BadDeclaration(Exception):
    """A verb was called with what cannot be meant; the message says which value and what is allowed."""


class Bar(BrokerBar, frozen=True):
    """A closed bar. Prices are exact Decimals. ``closed_utc`` is its end, epoch seconds UTC, and its name.

    ``late``: it came later than its limit (10 % of the interval, at least 5 s): an entry out of it is refused, exits
    and stop moves are not.
    """

    late: bool = False


class NoParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The parameters of a strategy that has none."""


class Strategy:
    """Derive from it, override the hooks you need.

    For parameters, write a frozen msgspec Struct with defaults and name it ``Parameters`` in your class; it is
    validated before the start, and ``self.parameters`` is one::

        class Crossing(Strategy):
            class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
                fast: int = 5
                slow: int = 20
    """

    Parameters: type[msgspec.Struct] = NoParameters

    symbols: tuple[str, ...]
    """The symbols of the session."""
    parameters: Any
    """An instance of ``Parameters``."""
    state: dict[str, Any]
    """A plain mapping, committed with each turn and restored before ``setup``: None, bool, int, float, str, Decimal,
    lists, and dicts with text keys. Attributes of your own are lost at a restart; this is not."""
    now: float
    """Market time, epoch seconds UTC: the only clock of a strategy."""

    # -- hooks -------------------------------------------------------------------------------------------------------

    def setup(self) -> None:
        """Once per start: ``subscribe`` to bars. Nothing is sent. ``self.state`` is restored already."""

    def on_bar(self, bar: Bar) -> None:
        """Each closed bar of each subscribed series, exactly once and in order, also over reconnects and restarts.
        Between symbols there is no order."""

    def on_fill(self, fill: Fill) -> None:
        """A fill of an own order, once. ``self.position`` is updated already."""

    def on_sync(self, before: Position, after: Position) -> Literal["resume"] | None:
        """The broker's position differed from ours, twice, and was adopted. What was declared is void, and entries of
        the symbol are held until a person releases them; return ``RESUME`` to take the declaration up again."""
        return None

    def on_reject(self, reject: Reject) -> None:
        """Something declared was refused: ``reject.gate`` is the gate (or ``venue``), ``reject.text`` says why. What is
        declared in here and refused again is recorded, but not told again."""

    def on_session(self, symbol: str, phase: Phase) -> None:
        """The symbol's market has come into another phase: ``"open"``, ``"closing"`` (some minutes before the close;
        no entry goes any more) or ``"closed"``. Each phase of each day once, also over restarts, where only the newest
        is told of what passed meanwhile."""

    def on_timer(self, name: str) -> None:
        """A timer of ``setup`` was due: once for each of its moments, also over restarts. Of moments that passed while
        nothing ran only the newest is told, late: entries out of it are refused, exits and stop moves are not."""

    def on_quote(self, quote: Quote) -> None:
        """The newest quote of a symbol of ``subscribe_quotes``. Best effort: what came between two turns is dropped,
        nothing comes again after a death, and an entry out of a quote older than 5 s is refused."""

    def on_data_age(self, symbol: str, age_s: float) -> None:
        """Bars of the symbol are stale: for ``age_s`` market seconds nobody could say whether one is missing, and none
        is told. Again with 0 when they are complete."""

    def on_stop(self, reason: str) -> None:
        """Trading ends. What is declared here still counts, entries are refused. By default position and stop stay at
        the broker, and the account manager minds them."""

    # -- verbs -------------------------------------------------------------------------------------------------------

    def subscribe(self, symbol: str, *, minutes: int = 1, warm_up: int = 0) -> None:
        """In ``setup``: this series goes to ``on_bar``; ``warm_up`` closed bars before it are in ``self.bars``."""
        self._known(symbol)
        if minutes < 1 or not 0 <= warm_up < BARS_KEPT:
            raise BadDeclaration(
                f"subscribe({symbol!r}): minutes {minutes} (at least 1), warm_up {warm_up} (0 to 4999)"
            )
        self._desk.needs[symbol, minutes * 60] = Need(symbol=symbol, interval_s=minutes * 60, warm_up=warm_up)

    def timer(self, name: str, *, every_s: int | None = None, at: str | None = None, zone: str = "UTC") -> None:
        """In ``setup``: ``on_timer(name)`` every so many market seconds (multiples of it since 1970: 3600 is each full
        hour), or each day ``at`` a time like "15:55" in ``zone`` ("America/New_York")."""
        timers = self._desk.timers
        try:
            timers[name] = timer(name, every_s, at, zone)
        except BadTimer as bad:
            raise BadDeclaration(str(bad)) from bad
        if len(timers) > TIMERS_MAX:
            raise BadDeclaration(f"timer {name!r} is number {len(timers)}, limit {TIMERS_MAX}")

    def subscribe_quotes(self, symbol: str) -> None:
        """In ``setup``: the symbol's quotes go to ``on_quote``."""
        self._known(symbol)
        self._desk.quotes.add(symbol)

    def target(
        self,
        symbol: str,
        quantity: Decimal | int,
        *,
        stop: Number | None = None,
        take: Take = None,
        trail: Following = None,
    ) -> None:
        """Declare the exposure wanted: signed units, negative is short, 0 is flat. Idempotent: say it on each bar.

        ``stop`` is the price of the protective stop, rounded to the tick on the safe side. An entry needs one, or a
        ``trail``; said again with another price it moves the stop by replace. ``take`` is the price at which a profit
        is taken, rounded away from the market. ``trail`` is how far behind the market the stop follows, and only to the
        tighter side: an amount of price, or ``Trail(percent=...)``; without a ``stop`` it begins at the newest close.
        What is left out stays as it is; ``OFF`` ends a take or a trail. After a stop-out or a take, a new call is a new
        decision. Refusals come to ``on_reject``. Raises ``BadDeclaration`` for what cannot be meant.
        """
        said = self._said("target", symbol, quantity, stop, take, trail)
        take_at, stop_at, wanted = said.take, said.stop, said.quantity
        if take_at is not None and stop_at is not None and wanted and (take_at - stop_at) * wanted <= 0:
            text = f"take {take_at} and stop {stop_at} are on the wrong sides of each other"
            raise BadDeclaration(f"target({symbol!r}): {text}")
        self._desk.declared[symbol] = said

    def buy(
        self,
        symbol: str,
        quantity: Decimal | int,
        *,
        stop: Number | None = None,
        take: Take = None,
        trail: Following = None,
    ) -> None:
        """Declare ``quantity`` more than is declared so far. Each call counts, once: a turn that comes again after a
        crash was never committed. ``stop``, ``take`` and ``trail`` as in ``target``, for all that is declared then.
        After a divergence it is refused like any entry that was voided."""
        self._change(self._said("buy", symbol, _more("buy", symbol, quantity), stop, take, trail))

    def sell(
        self,
        symbol: str,
        quantity: Decimal | int,
        *,
        stop: Number | None = None,
        take: Take = None,
        trail: Following = None,
    ) -> None:
        """Declare ``quantity`` less than is declared so far; below 0 is short. See ``buy``."""
        self._change(self._said("sell", symbol, -_more("sell", symbol, quantity), stop, take, trail))

    def move_stop(self, symbol: str, stop: Number) -> None:
        """Another price for the stop of what is declared, by replace. Never opens anything: flat, it does nothing.
        While a trail is declared the stop only goes to the tighter side."""
        self._change(self._said("move_stop", symbol, 0, stop))

    def close(self, symbol: str) -> None:
        """``target(symbol, 0)``: leave at the market; the working stop becomes the exit."""
        self.target(symbol, 0)

    # -- what is so --------------------------------------------------------------------------------------------------

    def position(self, symbol: str) -> Position:
        """``.quantity`` (signed), ``.average_price``, ``.stop`` (works at the broker), ``.take``, ``.trail`` and who
        holds each (``.stop_held_by``, ``.take_held_by``, ``.trail_held_by``), ``.as_of_utc``, ``.agreed``."""
        self._known(symbol)
        return self._desk.positions.get(symbol) or PositionView(symbol=symbol, quantity=Decimal(0))

    def bars(self, symbol: str, n: int, *, minutes: int = 1) -> Sequence[Bar]:
        """The last ``n`` closed bars, oldest first, the one in ``on_bar`` included; fewer where there are no more."""
        kept = self._desk.bars.get((symbol, minutes * 60))
        return [] if kept is None or n <= 0 else list(islice(reversed(kept), n))[::-1]

    def _said(
        self,
        verb: str,
        symbol: str,
        quantity: Number,
        stop: Number | None = None,
        take: Take = None,
        trail: Following = None,
    ) -> Declared:
        self._known(symbol)
        what = f"{verb}({symbol!r})"
        exact = _exact(f"{what}: quantity", quantity)
        off = tuple(name for name, given in (("take", take), ("trail", trail)) if _is_off(f"{what}: {name}", given))
        said = Declared(
            symbol=symbol,
            quantity=exact,
            stop=None if stop is None else _exact(f"{what}: stop", stop),
            take=None if take is None or isinstance(take, str) else _exact(f"{what}: take", take),
            trail=_trail(what, trail),
            off=off,
            intended_price=self._desk.newest_close(symbol),
        )
        if said.trail is not None and said.stop is None and said.intended_price is None:
            raise BadDeclaration(f"{what}: a trail without a stop begins at the newest close, and there is no bar yet")
        return said

    def _change(self, said: Declared) -> None:
        """The last absolute word of a turn counts, and what is said relative to it after that."""
        before = self._desk.declared.get(said.symbol)
        if before is None:
            self._desk.declared[said.symbol] = msgspec.structs.replace(said, relative=True)
            return
        left_out = {name for name in ("stop", "take", "trail") if getattr(said, name) is None and name not in said.off}
        kept = {name: getattr(before, name) for name in left_out}
        off = {*said.off, *left_out.intersection(before.off)}
        self._desk.declared[said.symbol] = msgspec.structs.replace(
            said, quantity=before.quantity + said.quantity, relative=before.relative, off=tuple(sorted(off)), **kept
        )

    def _known(self, symbol: str) -> None:
        if symbol not in self.symbols:
            raise BadDeclaration(f"{symbol!r} is not of this session, which has {', '.join(self.symbols)}")

    _desk: Desk


class Desk:
    """The runner's side of a strategy: what it may see, and what it has declared in this turn."""

    def __init__(self) -> None:
        self.needs: dict[tuple[str, int], Need] = {}
        self.timers: dict[str, Timer] = {}
        self.quotes: set[str] = set()
        self.declared: dict[str, Declared] = {}
        self.positions: dict[str, PositionView] = {}
        self.bars: dict[tuple[str, int], deque[Bar]] = {}

    def keep(self, bar: Bar) -> None:
        kept = self.bars.get((bar.symbol, bar.interval_s))
        if kept is None:
            kept = self.bars[bar.symbol, bar.interval_s] = deque(maxlen=BARS_KEPT)
        kept.append(bar)

    def newest_close(self, symbol: str) -> Decimal | None:
        """The newest price that the strategy has seen."""
        newest = [kept[-1] for (of, _), kept in self.bars.items() if of == symbol and kept]
        return max(newest, key=lambda bar: bar.closed_utc).close if newest else None


def attach(strategy: Strategy, symbols: tuple[str, ...], parameters: msgspec.Struct, state: dict[str, Any]) -> Desk:
    """Give a new strategy its world before ``setup``. For the runner and for tests of strategies."""
    strategy.symbols, strategy.parameters, strategy.state = symbols, parameters, state
    strategy.now = 0.0
    strategy._desk = Desk()
    return strategy._desk


def _more(verb: str, symbol: str, quantity: Number) -> Decimal:
    exact = _exact(f"{verb}({symbol!r}): quantity", quantity)
    if exact <= 0:
        raise BadDeclaration(f"{verb}({symbol!r}): quantity {quantity}, wanted more than 0")
    return exact


def _trail(what: str, given: Number | Trail | str | None) -> Trail | None:
    if given is None or isinstance(given, str):
        return None
    name = f"{what}: trail"
    if not isinstance(given, Trail):
        trail = Trail(amount=_exact(name, given))
    elif given.amount is not None:
        trail = Trail(amount=_exact(name, given.amount))
    else:
        trail = Trail(percent=_exact(name, given.percent or 0))
    distance = trail.amount if trail.amount is not None else trail.percent
    if distance is None or distance <= 0 or (trail.percent is not None and distance >= PERCENT_END):
        raise BadDeclaration(f"{what}: a trail of {distance} (above 0, and a percentage below {PERCENT_END})")
    return trail


def _is_off(what: str, given: Number | Trail | str | None) -> bool:
    if isinstance(given, str) and given != OFF:
        raise BadDeclaration(f"{what} is {given!r}; wanted: a number, or OFF")
    return given == OFF


def _exact(what: str, value: Number) -> Decimal:
    """A float is taken as it is written (0.1 is 0.1): prices are rounded to the tick anyway."""
    exact = value if isinstance(value, Decimal) else Decimal(str(value))
    if isinstance(value, bool) or not exact.is_finite():
        raise BadDeclaration(f"{what} is {value!r}, which is no number")
    if not exact:
        return Decimal(0)
    if abs(exact.adjusted()) > DIGITS_MAX:
        raise BadDeclaration(f"{what} is {value!r}; wanted: at most {DIGITS_MAX} digits before and behind the point")
    return exact
