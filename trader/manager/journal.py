"""A session's journal: on disk, before it is acted on, what cannot be read back from the broker; its image in memory.

Each method changes the image and notes what the file must have; ``commit`` writes that as one, before anything leaves
this process. When it fails the process ends and the next incarnation reads the file again, so the two never part.
Decides nothing; knows no clock, no process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import cache
from typing import Any

from brokers.model import ZERO, Instrument, Order
from supervisor.messages import Event
from supervisor.process.world import Store
from supervisor.process.writes import Writes
from trader.accounting.money import Adoption
from trader.holds import Taken
from trader.manager.image import GIVEN_UP_KEPT, Done, Image, Uncovered
from trader.messages import (
    Consumed,
    Cursor,
    FillRow,
    Hold,
    RejectRow,
    Row,
    RowNumber,
    SessionRow,
    SyncRow,
    TimerDue,
    Turn,
)
from trader.minding.minded import Minded
from trader.orders.declaration import Declaration
from trader.orders.intents import SESSION_KEY_LENGTH, Intent, IntentState, Kind
from trader.orders.own_order import OwnOrder
from trader.orders.position import Holding, price_of_new
from trader.risk.usage import count_row
from trader.store.columns import (
    adoption_row,
    declaration_row,
    event_row,
    intent_row,
    itself,
    order_row,
    outcome_row,
    position_row,
    text_or_none,
    to_json,
)
from trader.store.statements import (
    CONSUME_ROWS,
    DROP_HOLD,
    DROP_UNCOVERED,
    INSERT_ADOPTION,
    INSERT_EVENT,
    INSERT_FEE,
    INSERT_FILL,
    INSERT_FOREIGN_FILL,
    INSERT_INTENT,
    INSERT_ROW,
    INSERT_TURN,
    PUT_CURSOR,
    PUT_DECLARATION,
    PUT_HOLD,
    PUT_INSTRUMENT,
    PUT_META,
    PUT_ORDER,
    PUT_PHASE,
    PUT_POSITION,
    PUT_TIMER,
    PUT_UNCOVERED,
    UPDATE_INTENT,
)

SCHEMA = "trader.store.journal:migrations"


class Journal(Image):
    """See the module's text."""

    def __init__(self, store: Store, new_key: Callable[[], str]) -> None:
        super().__init__(store)
        self._writes = Writes()
        if self.is_new:
            self.key = new_key()[-SESSION_KEY_LENGTH:]
            with self.transaction():
                self._set("key", self.key)

    # -- as one ------------------------------------------------------------------------------------------------------

    def commit(self) -> None:
        """What was written since the last commit is on disk on return."""
        writes = self._writes
        if writes:
            self._writes = Writes()
            self._store.write(writes)

    def forget(self) -> None:
        """Nothing of what was written since the last commit has happened: its process ends, or has changed nothing."""
        self._writes = Writes()

    @property
    def state_changed(self) -> bool:
        """Whether anything since the last commit has written more than history."""
        return self._writes.state_changed

    @contextmanager
    def transaction(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.forget()
            raise
        self.commit()

    # -- turns -------------------------------------------------------------------------------------------------------

    def turn(self, turn: Turn, now_s: float, now_utc: float, *, late: bool) -> None:
        """What a turn consumed, and the strategy's new state."""
        bar = turn.bar
        self._turn_row(turn.start_no, bar, turn.row or None, turn.timer, late, False, now_s, now_utc)
        if bar is not None:
            self._cursor(bar)
        if turn.row:
            self._consume_rows(turn.row)
        if turn.timer is not None:
            self._timer(turn.timer)
        self.set_state(turn.state)

    def skip(self, start_no: int, what: Consumed, now_s: float, now_utc: float) -> None:
        """What kills the trader is consumed without it."""
        bar = what if isinstance(what, Cursor) else None
        row = what.number if isinstance(what, RowNumber) else None
        timer = what if isinstance(what, TimerDue) else None
        self._turn_row(start_no, bar, row, timer, False, True, now_s, now_utc)
        if bar is not None:
            self._cursor(bar)
        if row is not None:
            self._consume_rows(row)
        if timer is not None:
            self._timer(timer)

    def set_state(self, state: bytes) -> None:
        if state != self.state:
            self.state = state
            self._set("state", state)

    def set_done(self, start_no: int, reason: str) -> None:
        self.done = Done(start_no, reason)
        self._set("done_start_no", start_no)
        self._set("done_reason", reason)

    def set_taken(self, taken: Taken) -> None:
        """What a person has stopped is known here from this commit on."""
        if taken != self.taken:
            self.taken = taken
            row = ("holds_taken", to_json(taken))
            self._writes.put(("meta", "holds_taken"), PUT_META, itself, row)  # more than history: it stirs the account

    def mind(self, symbol: str, minded: Minded) -> None:
        """What the rules of minding remember of a symbol."""
        if minded != self.minded(symbol):
            self.minding[symbol] = minded
            self._writes.put(("meta", "minding"), PUT_META, itself, ("minding", to_json(self.minding)))

    def declare(self, declaration: Declaration) -> None:
        if self.declarations.get(declaration.symbol) == declaration:
            return
        self.declarations[declaration.symbol] = declaration
        self._writes.put(("declaration", declaration.symbol), PUT_DECLARATION, declaration_row, declaration)

    def count_death(self, what: Consumed, incarnation: int) -> int:
        """How often this has killed the trader, this death included."""
        told = to_json(what)
        self._writes.add("INSERT OR IGNORE INTO deaths_told VALUES (?, ?)", (told, incarnation))
        before = self._store.query("SELECT incarnation FROM deaths_told WHERE told = ?", (told,))
        return len({incarnation, *(row["incarnation"] for row in before)})

    # -- rows for the strategy ---------------------------------------------------------------------------------------

    def add_row(self, content: FillRow | SyncRow | RejectRow | SessionRow) -> None:
        self.newest_row += 1
        row = Row(number=self.newest_row, content=content)
        self._writes.add(INSERT_ROW, (row.number, content.symbol, to_json(row)))
        self._waiting_rows.append(row)
        count_row(self.usage, row, 0)

    # -- intents and orders ------------------------------------------------------------------------------------------

    def take_key(self, key: str) -> None:
        """Another key for what is written from now on: it is not known which numbers of the old one were used."""
        self.key = key[-SESSION_KEY_LENGTH:]
        self._set("key", self.key)

    def write_intent(self, intent: Intent) -> None:
        """New, or its outcome: all else of an intent stays as it was written. An open one is found in ``open_intents``
        until it is settled."""
        if intent.number > self.newest_intent:
            self.newest_intent = intent.number
            self._writes.put(("new intent", intent.number), INSERT_INTENT, intent_row, intent)
            if intent.kind is Kind.PLACE:
                self.usage.placed.add(intent.written_utc, 1 + len(intent.legs))
        else:
            self._writes.put(("intent", intent.number), UPDATE_INTENT, outcome_row, intent)
        self.open_intents.pop(intent.number, None)
        self.given_up.pop(intent.number, None)
        if intent.state.open:
            self.open_intents[intent.number] = intent
        elif intent.state is IntentState.GIVEN_UP:
            self.given_up[intent.number] = intent
            if len(self.given_up) > GIVEN_UP_KEPT:
                del self.given_up[next(iter(self.given_up))]

    def write_order(self, order: OwnOrder) -> None:
        self._keep(order)
        self._writes.put(order.order_id, PUT_ORDER, order_row, order)

    def write_fill(self, order: OwnOrder, quantity: Decimal, price: Decimal, now_utc: float) -> None:
        total = str(order.filled_quantity)
        row = (
            *(order.order_id, order.symbol, str(order.side), str(quantity), str(price), total),
            *(order.corrections, now_utc),
        )
        self._writes.add(INSERT_FILL, row)

    def write_fee(self, order: OwnOrder, fee_usd: Decimal, now_utc: float) -> None:
        """Charged for what the order has filled so far, beyond what was charged before; below 0 it was taken back."""
        row = (order.order_id, order.symbol, str(order.filled_quantity), str(fee_usd), now_utc)
        self._writes.add(INSERT_FEE, row)

    # -- truth -------------------------------------------------------------------------------------------------------

    def hold_position(self, symbol: str, holding: Holding) -> None:
        self.holdings[symbol] = holding
        self._writes.put(("position", symbol), PUT_POSITION, position_row, (symbol, holding))

    def write_adoption(self, adoption: Adoption, *, read: int, age_s: float, explained: bool) -> None:
        """What the broker said is held from now on; of ``read``, that was so old."""
        self._writes.add(INSERT_ADOPTION, adoption_row(adoption, read, age_s, explained))
        self.adopted.add(adoption.symbol)

    def account_foreign(self, orders: Iterable[Order], now_utc: float) -> None:
        """Orders that are not ours, as they were when the account agreed: their fills explain nothing any more. Where
        something was ever adopted, these fills are kept: they may tell what it has cost (``money``)."""
        for order in orders:
            if self.foreign.get(order.order_id) != order.filled_quantity:
                if order.symbol in self.adopted:
                    self._foreign_fill(order, now_utc)
                charged_usd = self._charged_usd(order)
                self._put(
                    "foreign_orders",
                    order_id=order.order_id,
                    symbol=order.symbol,
                    side=str(order.side),
                    filled_quantity=str(order.filled_quantity),
                    working=int(order.working),
                    average_fill_price=text_or_none(order.average_fill_price),
                    commission_usd=str(charged_usd),
                )
                self.foreign_paid[order.order_id] = (order.average_fill_price, charged_usd)
                self.foreign[order.order_id] = order.filled_quantity
                self.foreign_symbols[order.order_id] = order.symbol

    def _foreign_fill(self, order: Order, now_utc: float) -> None:
        average, charged_usd = self.foreign_paid.get(order.order_id, (None, ZERO))
        before = self.foreign.get(order.order_id, ZERO)
        price = price_of_new(before, average, order.filled_quantity, order.average_fill_price)
        quantity, fee_usd = order.filled_quantity - before, self._charged_usd(order) - charged_usd
        row = (order.order_id, order.symbol, str(order.side), str(quantity), text_or_none(price), str(fee_usd), now_utc)
        self._writes.add(INSERT_FOREIGN_FILL, row)

    def _charged_usd(self, order: Order) -> Decimal:
        """For an order that is not ours; what was known where this telling leaves it out."""
        known_usd = self.foreign_paid.get(order.order_id, (None, ZERO))[1]
        return known_usd if order.commission_usd is None else order.commission_usd

    def add_hold(self, symbol: str, why: str, now_utc: float) -> bool:
        """False where it was held for this reason before."""
        if (symbol, why) in self.holds:
            return False
        self.holds[symbol, why] = Hold(symbol=symbol, why=why, since_utc=now_utc)
        self._writes.put(("hold", symbol, why), PUT_HOLD, itself, (symbol, why, now_utc))
        return True

    def drop_holds(self, symbol: str, why: str | None = None) -> tuple[str, ...]:
        """Released: all holds of the symbol, or the one of this reason. Gives the reasons."""
        gone = [key for key in self.holds if key[0] == symbol and why in (None, key[1])]
        for key in gone:
            del self.holds[key]
            self._writes.put(("hold", *key), DROP_HOLD, itself, key)
        return tuple(key[1] for key in gone)

    def forget_rejects(self) -> None:
        """A person has released the hold that they made: a new count begins."""
        self.usage.rejects.clear()
        self._set("rejects_from", self.newest_row)

    def set_uncovered(self, symbol: str, uncovered: Uncovered | None) -> None:
        if uncovered is None:
            self.uncovered.pop(symbol, None)
            self._writes.put(("uncovered", symbol), DROP_UNCOVERED, itself, (symbol,))
            return
        self.uncovered[symbol] = uncovered
        row = (symbol, uncovered.since_utc, uncovered.since_s, int(uncovered.paged))
        self._writes.put(("uncovered", symbol), PUT_UNCOVERED, itself, row)

    def write_instrument(self, instrument: Instrument) -> None:
        self.instruments[instrument.symbol] = instrument
        row = (instrument.symbol, to_json(instrument))
        self._writes.put(("instrument", instrument.symbol), PUT_INSTRUMENT, itself, row)

    def write_phase(self, symbol: str, phase: str, began_utc: float) -> None:
        """The newest phase of a market that was told, and since when it is by its calendar."""
        self.phases[symbol] = (phase, began_utc)
        self._writes.put(("phase", symbol), PUT_PHASE, itself, (symbol, phase, began_utc))

    # -- the record --------------------------------------------------------------------------------------------------

    def write_event(self, event: Event) -> None:
        self._writes.add(INSERT_EVENT, event_row(event))

    # -- the edge ----------------------------------------------------------------------------------------------------

    def _turn_row(
        self,
        start_no: int,
        bar: Cursor | None,
        row: int | None,
        timer: TimerDue | None,
        late: bool,
        skipped: bool,
        now_s: float,
        now_utc: float,
    ) -> None:
        of_bar = (bar.symbol, bar.interval_s, bar.closed_utc) if bar is not None else (None, None, None)
        name = timer.name if timer is not None else None
        self._writes.add(INSERT_TURN, (start_no, *of_bar, row, name, int(late), int(skipped), now_utc, now_s))

    def begin(self, after: Cursor) -> None:
        """A series that has no cursor yet begins after this stamp."""
        if (after.symbol, after.interval_s) not in self.cursors:
            self._cursor(after)

    def begin_timers(self, timers: Iterable[TimerDue]) -> None:
        """A timer that has no cursor yet counts from this moment on."""
        for timer in timers:
            if timer.name not in self.timers:
                self._timer(timer)

    def _timer(self, timer: TimerDue) -> None:
        self.timers[timer.name] = timer.due_utc
        self._writes.put(("timer", timer.name), PUT_TIMER, itself, (timer.name, timer.due_utc))

    def _consume_rows(self, number: int) -> None:
        self._writes.add(CONSUME_ROWS, (self.last_row, number))
        self.last_row = number
        while self._waiting_rows and self._waiting_rows[0].number <= number:
            self._waiting_rows.popleft()

    def _cursor(self, bar: Cursor) -> None:
        """On disk, a series' first cursor says where it began; from then on its turns tell it."""
        key = (bar.symbol, bar.interval_s)
        if key not in self.cursors:
            self._writes.add(PUT_CURSOR, (*key, bar.closed_utc))
        self.cursors[key] = bar.closed_utc

    def _set(self, name: str, value: Any) -> None:
        self._writes.add(PUT_META, (name, value))

    def _put(self, table: str, **columns: Any) -> None:
        self._writes.add(_put_sql(table, tuple(columns)), tuple(columns.values()))


@cache
def _put_sql(table: str, columns: tuple[str, ...]) -> str:
    marks = ", ".join("?" * len(columns))
    return f"INSERT OR REPLACE INTO {table} ({', '.join(columns)}) VALUES ({marks})"
