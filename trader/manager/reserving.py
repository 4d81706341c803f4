"""The account manager's side of the account's own limits: asks before an entry is written, tells when it is over.

One call for an entry, none for exits and stops, and only where the account has limits. Whatever is not a yes within a
second is a no: the keeper is away, hangs, or has not read the account since it came up.
"""

from __future__ import annotations

from feeds import paths
from feeds.config import ConnectionConfig
from feeds.messages import Release, Reserve, StillReserved
from supervisor.errors import CallFailed, Refused
from supervisor.messages import Message, Up
from supervisor.process.world import World
from trader.manager.account import Account
from trader.manager.entering import exposure
from trader.manager.truth import uncovered
from trader.orders.intents import Intent, Kind, Purpose, order_key
from trader.orders.position import Holding
from trader.orders.target import Place
from trader.risk.exposure import open_risk_usd

GATE = "account"
RESERVE_LIMIT_S = 1.0
"""The keeper answers from memory; later than this is as good as absent (docs/order-safety.md, "Gates and limits")."""


class Reserving:
    """``start`` once. ``given``: what was reserved and is not over, by order key."""

    def __init__(self, world: World, account: Account, connection: ConnectionConfig) -> None:
        self._world, self._account = world, account
        self._keeper = paths.limits(connection.name, account.session.account)
        self.given: dict[str, Reserve] = {}

    def start(self) -> None:
        """What an older incarnation was given goes on counting: its intents and orders are in the journal."""
        journal = self._account.journal
        for intent in journal.open_intents.values():
            if intent.kind is Kind.PLACE and intent.purpose is Purpose.ENTRY:
                self._was_given(intent)
        for order in journal.working.values():
            if order.purpose is Purpose.ENTRY:
                entry = Place(Purpose.ENTRY, order.side, order.quantity, order.type, legs=order.awaits)
                self._note(order_key(journal.key, order.intent), order.symbol, entry)
        self._account.reserve = self.ask
        self._world.supervisor.watch(self._keeper)
        self._say_again()

    def handle_info(self, message: Message) -> None:
        if isinstance(message, Up) and message.name == self._keeper:
            self._say_again()

    def ask(self, symbol: str, entry: Place) -> tuple[str, str] | None:
        """None: it may go. Under a key that was refused or not answered the next entry asks again."""
        _, key = self._account.journal.next_key()
        asked = self._note(key, symbol, entry)
        try:
            self._world.call(self._keeper, asked, timeout_s=RESERVE_LIMIT_S)
        except Refused as refused:
            del self.given[key]
            return GATE, str(refused)
        except CallFailed as failed:
            del self.given[key]
            self._world.cast(self._keeper, Release(key, filled=False))  # its yes may have come too late
            return GATE, f"the keeper of the account's limits gave no answer within {RESERVE_LIMIT_S:g} s: {failed}"
        return None

    def tell_over(self) -> None:
        """After each step: an entry is over when nothing of it is left to fill, and what it filled has its stop."""
        for key, reserved in list(self.given.items()):
            filled = self._filled(key)
            if filled is not None and not (filled and self._stop_is_missing(reserved.symbol)):
                del self.given[key]
                self._world.cast(self._keeper, Release(key, filled=filled))

    def _filled(self, key: str) -> bool | None:
        """Whether it left a position; None while it may still fill."""
        journal = self._account.journal
        if any(intent.key == key for intent in journal.open_intents.values()):
            return None
        number = int(key.rpartition("-")[2])
        placed = [order for order in journal.orders.values() if order.intent == number]
        orders = [order for order in placed if order.purpose is Purpose.ENTRY]  # its legs live on
        if any(order.working for order in orders):
            return None
        return any(order.filled_quantity for order in orders)

    def _stop_is_missing(self, symbol: str) -> bool:
        declared = self._account.journal.declaration(symbol).stop is not None
        return declared and (self._account.unsettled(symbol) or uncovered(self._account, symbol))

    def _was_given(self, intent: Intent) -> None:
        entry = Place(Purpose.ENTRY, intent.side, intent.quantity, intent.type, legs=intent.legs)
        self._note(intent.key, intent.symbol, entry)

    def _note(self, key: str, symbol: str, entry: Place) -> Reserve:
        declared = self._account.journal.declaration(symbol)
        exposed = exposure(self._account, declared)
        quantity, stops = entry.side.sign * entry.quantity, [leg.stop_price for leg in entry.legs]
        stop = next((price for price in stops if price is not None), declared.stop)
        alone = exposed._replace(quantity=quantity, held=Holding(), stop=stop)
        noted = Reserve(
            key=key,
            holder=self._account.session.name,
            symbol=symbol,
            side=entry.side,
            quantity=entry.quantity,
            risk_usd=open_risk_usd((alone,)),
        )
        self.given[key] = noted
        return noted

    def _say_again(self) -> None:
        if self.given:
            self._world.cast(self._keeper, StillReserved(tuple(self.given.values())))
