"""What the rules of minding look at and what they answer: a position, its market, and what is to be done. PURE values.

Each rule (``stop_watch``, ``closing``, ``renewal``, ``rolling``) is asked at each step what has to be done now, by what
is; ``Minded`` is the little that it must remember over a restart. ``trader/manager/guarding.py`` puts the scene before
the rules.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from brokers.model import ZERO, Instrument, Side, Value
from supervisor.messages import IncidentState, Level
from trader.hours.market_hours import Moment, Phase
from trader.orders.declaration import Declaration
from trader.orders.own_order import OwnOrder
from trader.sessions import InertStop, StopPassed

DAY_S = 86_400.0
replace = msgspec.structs.replace


class Price(Value, frozen=True):
    """A price at which the market has traded: the close of a bar, or the broker's last of a position. (A bar's extremes
    do not count: when in the bar they were, nobody tells.)"""

    price: Decimal
    at_utc: float


class Overrun(Value, frozen=True):
    """A working stop that the market has passed, since when that is known; no price since was on its right side."""

    order_id: str
    stop_price: Decimal
    since_utc: float


class Renewal(Value, frozen=True):
    """A stop that is given new days by a replace. ``ends_utc``: when it ended before; ``asked_utc``: when the replace
    was written, 0 before; ``reads``: so many asked for since then show the old end, the newest at ``read_utc``;
    ``failed``: it was told that it keeps it."""

    order_id: str
    ends_utc: float
    asked_utc: float = 0.0
    reads: int = 0
    read_utc: float = 0.0
    failed: bool = False

    @property
    def wanted(self) -> bool:
        return not self.asked_utc


class Minded(Value, frozen=True):
    """What is remembered of one symbol, in the journal. ``passed``: its declared stop waits, by the policy ``page``.
    ``inert``: the stop that was told as inert, with its price; ``inert_closes``: it is cancelled and the position
    closed. ``close_utc``: the close before which the position is to be flat; ``close_missed``: it was told that it
    was not; ``kept``: since then, or since a person made more of it, the stop protects what is left; ``to_close``:
    what was held when the close was begun and is there still; ``flat_utc``: the newest close that was confirmed
    flat. ``margin_utc``: the close before which the margin was told. ``expiring``: the stop whose end was told;
    ``rolls``: the contract's end was told. ``renewal``: of the stop that ends next. ``bare_utc``: since when it was
    told as bare in extended hours. ``regular_stops``: the venue has refused a stop in the form for extended hours,
    so the next ones are for regular hours. ``early_children``: it has sent a bracket's legs, of the whole size, at the
    first part of its entry. ``ahead``: so much (signed) of what was adopted at ``ahead_utc`` may be fills of these
    orders of ours that are told later: they count once."""

    passed: bool = False
    inert: str = ""
    inert_price: Decimal | None = None
    inert_closes: bool = False
    close_utc: float = 0.0
    close_missed: bool = False
    kept: bool = False
    to_close: Decimal = ZERO
    flat_utc: float = 0.0
    margin_utc: float = 0.0
    expiring: str = ""
    rolls: bool = False
    renewal: Renewal | None = None
    bare_utc: float = 0.0
    regular_stops: bool = False
    early_children: bool = False
    ahead: Decimal = ZERO
    ahead_of: tuple[str, ...] = ()
    ahead_utc: float = 0.0


NOTHING_MINDED = Minded()


class Words(Value, frozen=True):
    """What the session says of protection, and what its venue and its desk let a rule reckon with."""

    stop_passed: StopPassed = "exit"
    inert_stop: InertStop = "page"
    flat_at_close_min: int = 0
    gtc_days_max: int | None = None
    renews_by_replace: bool | None = None
    extended_stops: bool | None = None
    machine_allowance_s: float = 5.0


class Scene(Value, frozen=True, kw_only=True):
    """All that is known of one symbol. ``flattening``: a person wants it closed. ``price``: the newest known, if it is
    no older than the position. ``read_utc``: when the newest good read of the account was asked for. ``closes_utc``: of
    the market, where it is open and its hours are known. ``not_flat``: why it cannot be said that nothing is left; ""
    where it can. ``margin_usd``: what the account's positions need over night, ``overnight_free_usd``: what may be held
    then beyond them. ``first_notice_utc``: of the contract, as a person says. ``outside``: of
    a session for extended hours, it is before or after regular ones and the market trades."""

    words: Words
    declaration: Declaration
    held: Decimal
    orders: tuple[OwnOrder, ...]
    now_utc: float
    rate: float = 1.0
    unsettled: bool = False
    flattening: bool = False
    instrument: Instrument | None = None
    first_notice_utc: float | None = None
    price: Price | None = None
    overrun: Overrun | None = None
    read_utc: float = 0.0
    moment: Moment = Moment(Phase.UNKNOWN)
    outside: bool = False
    closes_utc: float | None = None
    not_flat: str = ""
    equity_usd: Decimal | None = None
    margin_usd: Decimal | None = None
    overnight_free_usd: Decimal | None = None

    @property
    def symbol(self) -> str:
        return self.declaration.symbol

    @property
    def side(self) -> Side:
        """Of the position."""
        return Side.BUY if self.held > 0 else Side.SELL

    @property
    def stops(self) -> list[OwnOrder]:
        """That work at the venue for the position."""
        against = self.side.opposite
        return [each for each in self.orders if self.held and each.protecting and each.side is against]

    @property
    def closing(self) -> bool:
        """An order works, or may, that would close (part of) the position."""
        against = self.side.opposite
        return self.unsettled or any(each.working and each.side is against for each in self.orders)

    @property
    def exits(self) -> bool:
        return self.unsettled or any(each.working and each.exiting for each in self.orders)


class Told(Value, frozen=True):
    """An event. ``incident``: what it is about, where it opens or ends one."""

    kind: str
    level: Level
    text: str
    incident: str = ""
    state: IncidentState = ""
    order_id: str = ""


class Act(Value, frozen=True):
    """What a rule wants done now. ``declaration``: instead of what is declared. ``hold``: entries are held for it."""

    minded: Minded
    declaration: Declaration | None = None
    told: Told | None = None
    hold: str = ""


def beyond(price: Decimal, stop: Decimal, protects: Side, by: Decimal) -> bool:
    """Whether a price has passed the stop of a position of this side by so much."""
    return (stop - price) * protects.sign >= by
