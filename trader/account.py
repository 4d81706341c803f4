"""The account as one session sees it: journal, session, limits, and what is known from reads of this life only.

What decides is pure and lies elsewhere (target, orders, reconcile, risk, intents); here the pieces are put before it.
``turns``, ``execution`` and ``truth`` act on an Account inside a transaction of its journal; none of them knows a
process, a clock or a socket: time comes in as ``Now``.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

import msgspec

from brokers.broker import Capabilities
from brokers.model import Order
from feeds.config import Timing
from supervisor.messages import Event, Level
from trader.holds import NOTHING_STANDS
from trader.intents import IntentState, Kind, Settling
from trader.journal import Journal
from trader.messages import Cursor, Hindrance, PositionView, RejectRow, SessionStatus, Unsettled, WorkingOrder
from trader.orders import OwnOrder
from trader.risk import EntryGates, Limits, entry_refusal
from trader.sessions import Session
from trader.target import Declaration, Situation, clamped


class Now(msgspec.Struct, frozen=True):
    """Machine time, market time, and the market's rate, read once for a whole step."""

    s: float
    utc: float
    rate: float


class Account:
    """State of one session. The journal outlives the process; the rest is learned again from the broker.

    ``agreed_s``: when the newest read was requested that agreed with us, by symbol. ``differed``: what the last read
    said where it did not. ``changed_s``: our newest fill, acknowledgement or instruction. ``not_ours``: symbols in
    which a new journal found a position. ``want_read``: somebody should read the account soon. ``unread``: what the
    venue said instead of the newest read, by what was asked for (the account, a symbol). ``repeats``: the gate that
    refuses a symbol's declarations over and over, and how often it did since that was recorded. ``in_force``: what a
    person has stopped; ``flatten_since_s``: when this life took up the flatten that is under way. ``last_word``: of
    this trader's turns that consumed nothing.
    """

    def __init__(
        self, session: Session, journal: Journal, timing: Timing, limits: Limits, capabilities: Capabilities
    ) -> None:
        self.session = session
        self.journal = journal
        self.timing = timing
        self.limits = limits
        self.capabilities = capabilities
        self.start_no = session.start_no
        self.agreed_s: dict[str, float] = {}
        self.differed: dict[str, Decimal] = {}
        self.changed_s: dict[str, float] = {}
        self.not_ours: set[str] = set()
        self.settling: dict[int, Settling] = {}
        self.foreign_working = 0
        self.want_read = False
        self.last_word = 0
        self.committed: list[Event] = []
        self.unread: dict[str, str] = {}
        self.repeats: dict[str, tuple[str, int]] = {}
        self.in_force = NOTHING_STANDS
        self.flatten_since_s = 0.0
        self._resting = False
        self._differed_at_rest: dict[str, Decimal] = {}
        self._views: tuple[PositionView, ...] = ()
        self._views_agreed = 0

    # -- what the pure parts look at ---------------------------------------------------------------------------------

    @property
    def trading_done(self) -> bool:
        return self.journal.done.start_no >= self.start_no

    @property
    def over(self) -> bool:
        """Trading is done, and by an agreeing read nothing of ours is left at the broker (DESIGN 3)."""
        flat = all(symbol in self.not_ours or self._flat(symbol) for symbol in self.session.symbols)
        idle = not self.journal.open_intents and not self.journal.working
        return self.trading_done and flat and idle and not self.flattening

    def _flat(self, symbol: str) -> bool:
        """A symbol of which no read was ever compared has no order of ours either: entries wait for the first."""
        if symbol not in self.journal.holdings and symbol not in self.differed:
            return True
        agreed = self.agreed_s.get(symbol, -1.0) >= self.changed_s.get(symbol, 0.0) and symbol not in self.differed
        return agreed and self.journal.holding(symbol).quantity == 0

    @property
    def flattening(self) -> bool:
        """A person wants the position closed, and the broker has not confirmed it flat since."""
        return self.in_force.halted and self.in_force.flatten > self.journal.taken.over

    def holds_of(self, symbol: str) -> tuple[str, ...]:
        """Why entries of the symbol are held: by a person, and by what was found at the broker."""
        return (*self.in_force.reasons(), *self.journal.holds_of(symbol))

    def working_of(self, symbol: str) -> tuple[OwnOrder, ...]:
        return tuple([order for order in self.journal.working.values() if order.symbol == symbol])

    def unsettled(self, symbol: str) -> bool:
        """A placing of this symbol has no outcome yet."""
        for intent in self.journal.open_intents.values():
            if intent.kind is Kind.PLACE and intent.symbol == symbol:
                return True
        return False

    @property
    def in_doubt(self) -> bool:
        """Something has no outcome yet that only a read can tell."""
        unknown = any(i.state is IntentState.UNKNOWN for i in self.journal.open_intents.values())
        return unknown or any(o.unsure for o in self.journal.working.values())

    def as_told(self, order_id: str) -> Order:
        """An order of ours in the broker's words, to be replaced."""
        own = self.journal.orders[order_id]
        return Order(
            order_id=order_id,
            account=self.session.account,
            symbol=own.symbol,
            side=own.side,
            type=own.type,
            quantity=own.quantity,
            status=own.status,
            venue_status="",
            opened_utc=0.0,
            filled_quantity=own.filled_quantity,
            stop_price=own.stop_price,
        )

    def situation(self, symbol: str, now: Now) -> Situation:
        declaration, held = self.journal.declaration(symbol), self.journal.holding(symbol).quantity
        unsettled = self.unsettled(symbol)
        missing = not unsettled and clamped(declaration.quantity, held) != declaration.quantity
        return Situation(
            declaration=declaration,
            position=held,
            orders=self.working_of(symbol),
            instrument=self.journal.instruments.get(symbol),
            now_utc=now.utc,
            seen=self.differed.get(symbol),
            unsettled=unsettled,
            entry_refusal=self.refusal(declaration, now) if missing else None,
            replace_to_market=self.capabilities.replace_to_market,
        )

    def refusal(self, wanted: Declaration, now: Now, *, late: bool = False) -> tuple[str, str] | None:
        """The gate that forbids an entry towards this declaration now."""
        symbol = wanted.symbol
        agreed_s = self.agreed_s.get(symbol)
        gates = EntryGates(
            trading_done=self.trading_done,
            holds=self.holds_of(symbol),
            agreed_age_s=None if agreed_s is None else now.s - agreed_s,
            differs=symbol in self.differed,
            late=late,
            stop_given=wanted.stop is not None,
            quantity=self._entry_quantity(wanted),
            instrument=self.journal.instruments.get(symbol),
        )
        return entry_refusal(gates, self.limits, self.timing.agreed_max_age_s)

    def _entry_quantity(self, wanted: Declaration) -> Decimal:
        held = self.journal.holding(wanted.symbol).quantity
        return abs(wanted.quantity - held) if held * wanted.quantity > 0 else abs(wanted.quantity)

    # -- at rest -----------------------------------------------------------------------------------------------------

    @property
    def at_rest(self) -> bool:
        """There was nothing to do, whatever the time, and this step has written nothing but history: most turns."""
        return self._resting and not self.journal.state_changed and self.differed == self._differed_at_rest

    def stir(self) -> None:
        """Something has changed, or time decides."""
        self._resting, self._views = False, ()

    def rest(self) -> None:
        """There is nothing to do now. It stays so while no entry and no cover is missing, of which time decides."""
        missing = any(self._entry_missing(symbol) for symbol in self.session.symbols)
        self._resting = not (missing or self.journal.uncovered or self.flattening)
        self._differed_at_rest = dict(self.differed)

    def _entry_missing(self, symbol: str) -> bool:
        declared, held = self.journal.declaration(symbol).quantity, self.journal.holding(symbol).quantity
        return clamped(declared, held) != declared

    # -- the record --------------------------------------------------------------------------------------------------

    def event(
        self,
        now: Now,
        kind: str,
        level: Level,
        text: str,
        *,
        incident: str = "",
        state: Literal["", "opened", "resolved"] = "",
        **data: Any,
    ) -> None:
        """Into the journal, in the transaction of what it tells about."""
        event = Event(
            kind=kind,
            level=level,
            subject=f"sessions/{self.session.name}",
            text=text,
            machine_s=now.s,
            market_utc=now.utc,
            incident=f"{self.session.name}:{incident}" if incident else "",
            incident_state=state,
            data={name: _plain(value) for name, value in data.items()},
        )
        self.journal.write_event(event)
        self.committed.append(event)

    def reject(self, now: Now, symbol: str, gate: str, text: str, quantity: Decimal, *, row: bool = True) -> None:
        """A refusal goes to the record and, as a row, to the strategy."""
        self.event(now, "order.refused", "DIGEST", f"{symbol}: {text}", gate=gate, quantity=quantity)
        if row:
            self._tell_refusal(symbol, gate, text, quantity, now)

    def _tell_refusal(self, symbol: str, gate: str, text: str, quantity: Decimal, now: Now) -> None:
        self.journal.add_row(RejectRow(symbol=symbol, gate=gate, text=text, quantity=quantity, refused_utc=now.utc))

    def refuse_again(self, now: Now, symbol: str, gate: str, text: str, quantity: Decimal, *, row: bool) -> None:
        """A declaration refused. A strategy that says the same on each bar makes one event, then a count."""
        before, times = self.repeats.get(symbol, ("", 0))
        if before == gate:
            self.repeats[symbol] = (gate, times + 1)
            if row:
                self._tell_refusal(symbol, gate, text, quantity, now)
            return
        self.end_repeats(now, symbol)
        self.repeats[symbol] = (gate, 0)
        self.reject(now, symbol, gate, text, quantity, row=row)

    def end_repeats(self, now: Now, symbol: str) -> None:
        """The symbol's refusals are over, or another gate goes on with them: how many there were goes to the record."""
        gate, times = self.repeats.pop(symbol, ("", 0))
        if times:
            text = f"{symbol}: refused {times} times more by the gate {gate!r}"
            self.event(now, "order.refused_again", "DIGEST", text, gate=gate, times=times)

    # -- views -------------------------------------------------------------------------------------------------------

    def views(self) -> tuple[PositionView, ...]:
        """Made anew where something has changed, or was agreed for the first time."""
        if not self._views or self._views_agreed != len(self.agreed_s):
            self._views = tuple(map(self._view, self.session.symbols))
            self._views_agreed = len(self.agreed_s)
        return self._views

    def _view(self, symbol: str) -> PositionView:
        held = self.journal.holding(symbol)
        stops = [order.stop_price for order in self.working_of(symbol) if order.protecting]
        return PositionView(
            symbol=symbol,
            quantity=held.quantity,
            average_price=held.average_price,
            stop=stops[0] if stops else None,
            as_of_utc=held.as_of_utc,
            agreed=symbol in self.agreed_s and symbol not in self.differed,
        )

    def status(self, now: Now) -> SessionStatus:
        journal = self.journal
        return SessionStatus(
            name=self.session.name,
            start_no=self.start_no,
            minding=self.trading_done,
            done_reason=journal.done.reason if self.trading_done else "",
            agreed_age_s={symbol: now.s - at for symbol, at in self.agreed_s.items()},
            positions=self.views(),
            orders=tuple(map(_working, journal.working.values())),
            unsettled=tuple(
                Unsettled(
                    key=i.key, symbol=i.symbol, kind=i.kind, purpose=i.purpose, since_utc=i.written_utc, why=i.reason
                )
                for i in journal.open_intents.values()
            ),
            holds=tuple(journal.holds.values()),
            cursors=tuple(Cursor(symbol=s, interval_s=i, closed_utc=at) for (s, i), at in journal.cursors.items()),
            last_divergence=journal.last_event("divergence.adopted"),
            foreign_orders=self.foreign_working,
            hindrances=self._hindrances(),
            person_holds=self.in_force.holds,
        )

    def _hindrances(self) -> tuple[Hindrance, ...]:
        account = self.session.account
        unknown = [s for s in self.session.symbols if s not in self.journal.instruments]
        unread = [account] if account in self.unread or not (self.agreed_s or self.differed or self.not_ours) else []
        holds = (Hindrance("holds", self.in_force.unread),) if self.in_force.unread else ()
        return (*holds, *(Hindrance(about, self.unread.get(about, "")) for about in (*unread, *unknown)))


def _working(order: OwnOrder) -> WorkingOrder:
    return WorkingOrder(
        order_id=order.order_id,
        symbol=order.symbol,
        purpose=order.purpose,
        side=order.side,
        type=order.type,
        quantity=order.quantity,
        filled_quantity=order.filled_quantity,
        stop_price=order.stop_price,
        pending=order.pending,
    )


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value
