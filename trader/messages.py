"""Every message of a session's plane: trader, data source, account manager, and those who control sessions.

Names: ``sessions/<session>/{account_manager,data_source,trader}`` (``trader/sessions.py`` builds them). Calls go one
way: trader -> data source and account manager; the other way go casts and publications.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from brokers.model import Bar, Side, Trail
from supervisor.messages import Done, Message, Request
from trader.holds import PersonHold
from trader.hours.market_hours import Phase

# -- what a strategy is told and what it declares ----------------------------------------------------------------------


class Cursor(Message, frozen=True):
    """The last bar of a series that a committed turn has consumed. ``closed_utc`` is the bar's stamp."""

    symbol: str
    interval_s: int
    closed_utc: int


class TimerDue(Message, frozen=True):
    """A moment at which a strategy's timer was due: its cursor, once a committed turn has consumed it."""

    name: str
    due_utc: int


class RowNumber(Message, frozen=True):
    """A row, by its number alone."""

    number: int


Consumed = Cursor | RowNumber | TimerDue
"""What a turn consumes, and what comes again until one is committed."""


class PositionView(Message, frozen=True):
    """A position as the strategy and ``status`` see it. ``agreed``: equal to the broker's at the last read.

    ``as_of_utc``: market time of the newest read or fill behind it, 0 where there was none yet. ``stop``: the price of
    the protective stop that works at the broker; of several the one that is reached last, None while one of them trails
    at a venue that does not tell where. ``take`` and ``trail`` as declared, each with who sees to it: ``venue`` (an
    order there), ``desk`` (by closed bars, while it lives), "" where nothing does. ``stop_held_by``: ``venue`` or "".
    ``covered``: the hours in which the stop works.
    """

    symbol: str
    quantity: Decimal
    average_price: Decimal | None = None
    stop: Decimal | None = None
    as_of_utc: float = 0.0
    agreed: bool = False
    take: Decimal | None = None
    trail: Trail | None = None
    stop_held_by: Literal["", "venue"] = ""
    take_held_by: Literal["", "venue", "desk"] = ""
    trail_held_by: Literal["", "venue", "desk"] = ""
    covered: str = ""


class FillRow(Message, frozen=True):
    """A fill of one of our orders, told to the strategy once (``on_fill``). ``purpose``: entry, stop, take or exit."""

    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    order_id: str
    purpose: str
    position: Decimal
    filled_utc: float


class SyncRow(Message, frozen=True):
    """The broker differed and was adopted (``on_sync``): what was declared for the symbol is void."""

    symbol: str
    before: Decimal
    after: Decimal
    average_price: Decimal | None
    adopted_utc: float


class RejectRow(Message, frozen=True):
    """What was declared or sent was refused (``on_reject``), by ``gate`` (ours) or by the venue (gate ``venue``)."""

    symbol: str
    gate: str
    text: str
    quantity: Decimal
    refused_utc: float


class SessionRow(Message, frozen=True):
    """The market of a symbol has come into another phase of its hours: ``open``, ``closing`` or ``closed``, since
    ``at_utc`` by its calendar. Each phase is told once, also over restarts."""

    symbol: str
    phase: Phase
    at_utc: float


class Row(Message, frozen=True):
    """One numbered row of the strategy's inbox; consumed by a committed turn, told again until then."""

    number: int
    content: FillRow | SyncRow | RejectRow | SessionRow


class Declared(Message, frozen=True):
    """The exposure that a strategy declares for a symbol: signed quantity, the price of its protective stop, the price
    at which a profit is taken, how far the stop follows.

    ``off``: ``take`` and ``trail`` where there is to be none any more (left out, the one there is stays).
    ``relative``: ``quantity`` is what is added to the exposure declared so far, as the account manager has it when it
    commits the turn. ``intended_price``: the newest close it had seen; what is filled is held against it, and a trail
    without a stop begins there.
    """

    symbol: str
    quantity: Decimal
    stop: Decimal | None = None
    intended_price: Decimal | None = None
    relative: bool = False
    take: Decimal | None = None
    trail: Trail | None = None
    off: tuple[str, ...] = ()


# -- trader -> account manager -----------------------------------------------------------------------------------------


class Attached(Message, frozen=True):
    """Where the strategy goes on: its cursors, those of its timers, its state, its rows that no turn has consumed yet.

    ``done``: this start number is over, the trader has nothing to do (all else is empty then).
    """

    done: bool
    cursors: tuple[Cursor, ...] = ()
    state: bytes = b""
    last_row: int = 0
    rows: tuple[Row, ...] = ()
    positions: tuple[PositionView, ...] = ()
    timers: tuple[TimerDue, ...] = ()


class Attach(Request[Attached], frozen=True):
    """First call of a trader. ``died_on``: what its predecessor was told when it died, if anything. The account manager
    counts: a bar (a row, a timer's moment) that kills the trader twice is recorded, skipped and reported."""

    REPLY = Attached
    start_no: int
    incarnation: int
    died_on: Consumed | None = None


class BeginSeries(Request[Done], frozen=True):
    """A fresh series begins after this stamp: kept as its cursor, so that a first bar whose turn is never committed
    comes again. Changes nothing where the series has a cursor already."""

    REPLY = Done
    after: Cursor


class BeginTimers(Request[Done], frozen=True):
    """New timers count from these moments on: kept as their cursors, so that a first moment whose turn is never
    committed comes again. Changes nothing where a timer has a cursor already."""

    REPLY = Done
    timers: tuple[TimerDue, ...]


class TurnDone(Message, frozen=True):
    """The turn is committed (or was before: the same turn sent again changes nothing)."""

    rows: tuple[Row, ...]
    positions: tuple[PositionView, ...]


class Turn(Request[TurnDone], frozen=True):
    """One turn: what it consumed, the new state, the declarations; committed as one.

    It consumes one of: a ``bar``, a ``row``, a ``timer``'s moment; or nothing that would come again (a quote, the age
    of the data): then ``word`` is its number in the trader's life, from 1 on, and ``as_of_utc`` when that was true.
    ``rows_seen``: the newest row the strategy had seen when it declared. ``resume``: symbols whose divergence
    ``on_sync`` answered with RESUME. Refused when the start number is done, or when it consumes out of order.
    """

    REPLY = TurnDone
    start_no: int
    state: bytes
    rows_seen: int
    bar: Cursor | None = None
    late: bool = False
    row: int = 0
    timer: TimerDue | None = None
    word: int = 0
    as_of_utc: float = 0.0
    declarations: tuple[Declared, ...] = ()
    resume: tuple[str, ...] = ()


class Rows(Message, frozen=True):
    rows: tuple[Row, ...]
    positions: tuple[PositionView, ...]


class ReadRows(Request[Rows], frozen=True):
    """The rows above ``after``, in order."""

    REPLY = Rows
    after: int


class TradingDone(Request[Done], frozen=True):
    """The trader's last act: commits done(start_no, reason). Declarations of ``on_stop`` come with it; entries among
    them are refused."""

    REPLY = Done
    start_no: int
    reason: str
    state: bytes
    declarations: tuple[Declared, ...] = ()


class RowsWaiting(Message, frozen=True):
    """Cast to the trader: there are rows up to this number."""

    newest: int


class StopTrading(Message, frozen=True):
    """Cast to the trader: call ``on_stop``, then TradingDone, then end."""

    reason: str


# -- trader -> data source ---------------------------------------------------------------------------------------------


class Need(Message, frozen=True):
    """A series that a strategy needs. ``after_utc``: its cursor, None for a fresh start (the next bar to close is the
    first). ``warm_up``: so many closed bars before that, for ``self.bars``."""

    symbol: str
    interval_s: int
    warm_up: int = 0
    after_utc: int | None = None


class NeedBars(Request[Done], frozen=True):
    """From now on the data source keeps these series and publishes them on topic "bars"."""

    REPLY = Done
    needs: tuple[Need, ...]


class CleanBar(Message, frozen=True):
    """A closed bar of a clean series. ``late``: it came later than the limit (law 5: no entry comes of it)."""

    bar: Bar
    late: bool


class CleanBars(Message, frozen=True):
    """Published on topic "bars" and the answer to BarsAfter: bars of one series in order, without a hole.

    ``after_utc``: the stamp of the clean bar before the first. ``warm_up``: bars from before the series' beginning,
    for ``self.bars`` only.
    """

    symbol: str
    interval_s: int
    after_utc: int
    bars: tuple[CleanBar, ...]
    warm_up: bool = False


class DataAge(Message, frozen=True):
    """Published on topic "bars": the series is stale for so many market seconds (nobody knows whether a bar is
    missing), or complete again (0)."""

    symbol: str
    interval_s: int
    age_s: float


class BarsAfter(Request[CleanBars], frozen=True):
    """The clean bars of a series after a stamp, up to the newest. Refused while they cannot be had."""

    REPLY = CleanBars
    symbol: str
    interval_s: int
    after_utc: int


# -- control, ensure_sessions, commands -> account manager -------------------------------------------------------------


class EndTrading(Request[Done], frozen=True):
    """ensure_sessions ends the trading of ``start_no``: ``done`` is committed first, then the trader is told, and
    terminated when it is still there ``limit_s`` machine seconds later."""

    REPLY = Done
    start_no: int
    reason: str
    limit_s: float = 10.0


class ReleaseHold(Request[Done], frozen=True):
    """A person releases the holds of a symbol (divergence and others kept in the journal). Refused where none is."""

    REPLY = Done
    symbol: str


class HoldsChanged(Message, frozen=True):
    """Cast by control: desk.db's holds have changed, look at once."""


# -- sessions: control, ensure_sessions, recorder (lead) ---------------------------------------------------------------


class SetWanted(Request[Done], frozen=True):
    """Write what is wanted of a session (recorder). Applied only if ``start_no`` equals the row's, refused otherwise:
    somebody has started the session again meanwhile."""

    REPLY = Done
    name: str
    wanted: Literal["trade", "mind", "off"]
    start_no: int
    reason: str


class WorkingOrder(Message, frozen=True):
    """An order of ours that works at the broker, for ``status``."""

    order_id: str
    symbol: str
    purpose: str
    side: Side
    type: str
    quantity: Decimal
    filled_quantity: Decimal
    stop_price: Decimal | None
    pending: str
    limit_price: Decimal | None = None
    trail: Trail | None = None


class Unsettled(Message, frozen=True):
    """An intent whose outcome is not known."""

    key: str
    symbol: str
    kind: str
    purpose: str
    since_utc: float
    why: str


class Hold(Message, frozen=True):
    """Entries of ``symbol`` are held until a person (or the strategy's RESUME, for ``divergence``) releases it."""

    symbol: str
    why: str
    since_utc: float


class Hindrance(Message, frozen=True):
    """What keeps a session from entering, as far as reads tell. ``about``: an account, a symbol, or the holds of the
    desk. ``text``: the venue's own words, "" where it was not asked yet."""

    about: str
    text: str


class Market(Message, frozen=True):
    """The market of a symbol just now, by its hours. ``until_utc``: when the phase ends; 0 where it is ``unknown``."""

    symbol: str
    phase: Phase
    until_utc: float = 0.0


class SessionStatus(Message, frozen=True):
    """What an account manager knows. ``agreed_age_s``: machine seconds since the last read that agreed, by symbol; a
    symbol that never agreed is missing, and beyond ``agreed_max_age_s`` entries wait. ``minding``: trading is done,
    positions are looked after. ``hindrances``: the account is not read just now, or a symbol's tick size not at all.
    ``person_holds``: what a person has stopped, of this session or of all. ``flattening``: what a flatten still waits
    for, "" where none is under way. ``stops_removed``: symbols whose stop somebody else has cancelled; it is not put
    back before a release."""

    name: str
    start_no: int
    minding: bool
    done_reason: str
    agreed_age_s: dict[str, float]
    positions: tuple[PositionView, ...]
    orders: tuple[WorkingOrder, ...]
    unsettled: tuple[Unsettled, ...]
    holds: tuple[Hold, ...]
    cursors: tuple[Cursor, ...]
    foreign_orders: int
    agreed_max_age_s: float
    hindrances: tuple[Hindrance, ...] = ()
    person_holds: tuple[PersonHold, ...] = ()
    flattening: str = ""
    markets: tuple[Market, ...] = ()
    stops_removed: tuple[str, ...] = ()


class ReadSessionStatus(Request[SessionStatus], frozen=True):
    REPLY = SessionStatus
