"""Intents go out: each written one is sent once, and what came of it is a step of its own (law 2).

The only place from which an instruction of the session reaches the broker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from brokers.broker import Broker
from brokers.model import GroupOutcome, Order, Outcome, Unknown
from supervisor.process.world import World
from trader.manager.account import Account
from trader.manager.execution import expire, hold_back, outcome, overdue
from trader.manager.key_numbers import KeyNumbers
from trader.manager.protection import protective
from trader.manager.step import Step, now_of
from trader.orders.intents import Intent, IntentState, Kind, Purpose, change, placing
from trader.orders.own_order import OwnOrder

SENDS_AT_ONCE = 20
"""Instructions sent before the mailbox is read again: far above what one step of a session needs."""


class Sending:
    """``step`` begins a step of the account manager, in which it may plan more; ``look_at_holds`` reads what a person
    has stopped. ``paused_until_s``: nothing is planned before (machine seconds)."""

    def __init__(
        self,
        world: World,
        account: Account,
        broker: Broker,
        key_numbers: KeyNumbers,
        step: Callable[[], Step],
        look_at_holds: Callable[[], object],
    ) -> None:
        self._world, self._account, self.broker, self._key_numbers = world, account, broker, key_numbers
        self._step, self._look_at_holds = step, look_at_holds
        self._waiting: list[Intent] = []
        self.paused_until_s = 0.0

    def queue(self, intents: Iterable[Intent]) -> None:
        """They are written in this step; in this sequence they go out once it is on disk."""
        self._waiting += intents

    def send(self) -> None:
        """What was written, and what follows from its outcome."""
        for _ in range(SENDS_AT_ONCE):
            if not self._waiting:
                return
            self.send_one()
        if self._waiting:
            waiting = len(self._waiting)
            self._world.log.error("instructions wait: too many at once", limit=SENDS_AT_ONCE, waiting=waiting)
            self._pause()

    def send_one(self) -> None:
        """The first that waits, if one does. Each intent once: written before, its outcome committed after."""
        intent = self._account.journal.open_intents.get(self._waiting.pop(0).number) if self._waiting else None
        if intent is None or intent.state is not IntentState.WRITTEN:
            return
        if intent.kind is Kind.PLACE and intent.purpose is Purpose.ENTRY and self._entry_is_off(intent):
            return
        result = self._instruct(intent)
        if isinstance(result, Unknown) and not result.sent:
            self._pause()  # the venue cannot be reached: plan again at a later tick, not in a circle
        with self._step() as now:
            outcome(self._account, intent, result, now)

    def take_ahead(self) -> None:
        """At a calm moment: the numbers of the next placings' keys."""
        self._key_numbers.take_ahead(self._account.journal.next_key()[0])

    def _pause(self) -> None:
        self.paused_until_s = self._world.now_s() + self._account.timing.look_every_s

    def _entry_is_off(self, intent: Intent) -> bool:
        """Holds are read once more before each entry: what is stored or laid out by now stops it."""
        self._look_at_holds()
        late = overdue(intent, now_of(self._world))
        if not late and not self._account.holds_of(intent.symbol):
            return False
        with self._step() as now:
            if late:
                expire(self._account, intent, now)
            else:
                hold_back(self._account, intent, now)
        return True

    def _instruct(self, intent: Intent) -> Outcome | GroupOutcome:
        account = self._account
        if intent.kind is Kind.PLACE:
            self._key_numbers.reserve(intent.number)
            instrument = account.journal.instruments.get(intent.symbol)
            order = placing(intent, account.session.account, instrument, protective(account, intent.symbol))
            return self.broker.place_with_children(order) if order.children else self.broker.place(order)
        if intent.kind is Kind.CANCEL:
            return self.broker.cancel(intent.order_id)
        own = account.journal.orders[intent.order_id]
        sure = own.group > 0 or own.on_its_way is None  # else a size that was given up may arrive before this one
        return self.broker.replace(_as_told(account, own), change(intent, own.quantity if sure else None))


def _as_told(account: Account, own: OwnOrder) -> Order:
    """An order of ours in the broker's words, to be replaced."""
    return Order(
        order_id=own.order_id,
        account=account.session.account,
        symbol=own.symbol,
        side=own.side,
        type=own.type,
        quantity=own.quantity,
        status=own.status,
        venue_status="",
        opened_utc=0.0,
        filled_quantity=own.filled_quantity,
        stop_price=own.stop_price,
        limit_price=own.limit_price,
        trail=own.trail,
    )
