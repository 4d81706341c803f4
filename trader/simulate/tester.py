"""`nightdesk test`: one session of the whole desk over recorded bars, in the simulated world without faults.

Trader, account manager, data source, feeds, books and connection are the ones that trade live; here they only meet
another world. The venue is the emulator. EDGE: reads files and the clock of this machine, for what it says of itself.
"""

from __future__ import annotations

import gc
import re
import time
import traceback
from bisect import bisect_right
from collections.abc import Callable, Iterable
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from brokers.model import Side
from brokers.tradestation.emulator.book import AccountSpec
from brokers.tradestation.emulator.errors import DataError
from brokers.tradestation.emulator.instruments import Instrument, instrument
from brokers.tradestation.emulator.load import load_market, load_series, to_stderr
from brokers.tradestation.emulator.market import MINUTE_S, Market, Series
from brokers.tradestation.emulator.rules import Rules
from brokers.tradestation.emulator.state import Settings
from brokers.tradestation.emulator.switches import Switches
from feeds.config import Timing
from supervisor.process.lean import sqlite_utils
from supervisor.process.store import SqliteStore
from supervisor.sim.desk import SimDesk
from supervisor.sim.kernel import START_S
from trader.hosting.code import BadStrategy, find_code
from trader.hosting.loader import UnfitStrategy, load, parameters
from trader.messages import RejectRow, Row
from trader.sessions import Code, Session, journal_path
from trader.simulate.assembly import Machine, machine
from trader.simulate.figures import Fill, Result, Ticker, exposure, money, refusals, utc_text
from trader.specs import PRELOAD
from trader.store.books import uncovered_s

RATE = 300.0
"""Market seconds in a machine second. So fast that the desk's machine periods (a tick each second, a snapshot each 30)
cost little beside the bars; so slow that a bar's decision, the order, its fill and the stop (six ways to the venue and
back, 24 ms) all lie within the first quarter of the next minute, before its second print."""
CALM = 30.0
"""Nothing is lost, hangs or dies in a tester's world, so what looks for it by the clock comes round this much later."""
LEAD_S = 45.0
"""Machine seconds in which market time stands still and the desk comes up and agrees with its broker."""
AFTER_S = 2.0
"""Machine seconds after the last bar: what it caused is still done."""
LOOK_EVERY_S = 20.0
"""Between two looks whether the strategy has raised."""
CALM_TIMING = Timing(
    **{
        name: CALM * getattr(Timing(), name)
        for name in (
            *("still_needed_every_s", "lease_valid_s", "prune_every_s", "listen_after_crash_s", "snapshot_every_s"),
            *("agreed_max_age_s", "heartbeat_s", "connect_limit_s", "ensure_every_s", "look_every_s"),
        )
    }
)
NAME = "test"
ACCOUNT = "TESTER"
CASH_USD = Decimal(100_000)


class BadTest(Exception):
    """What was asked for cannot be tested; the message says what to do. Exit code 2."""


class StrategyFailed(Exception):
    """The strategy raised; the message has file and line. Exit code 1."""


class Plan(msgspec.Struct, frozen=True):
    """``data``: a CSV file, or "" for the bundled bars of ``symbol``. Bars that end after ``from_utc`` and up to
    ``to_utc`` are given to the strategy; earlier ones are there for its warm-up."""

    strategy: str
    data: str = ""
    symbol: str = ""
    from_utc: float | None = None
    to_utc: float | None = None
    settings: dict[str, Any] = {}


def run(plan: Plan, warn: Callable[[str], None] = to_stderr) -> Result:
    """Run it. Raises ``BadTest`` before anything runs, ``StrategyFailed``. ``warn`` is told of doubled bars."""
    series = _series(plan, warn)
    begin = 0 if plan.from_utc is None else bisect_right(series.stamps, plan.from_utc)
    end = len(series.stamps) if plan.to_utc is None else bisect_right(series.stamps, plan.to_utc)
    if begin >= end:
        raise BadTest(
            f"no bar of {series.symbol} ends after {_told(plan.from_utc, 'the beginning')} and up to "
            f"{_told(plan.to_utc, 'the end')}; there are {utc_text(series.stamps[0])} to {utc_text(series.stamps[-1])}"
        )
    code, class_name = _code(plan)
    origin_utc = float(series.stamps[begin - 1]) if begin else series.stamps[0] - 2.0 * MINUTE_S
    cut = Series(series.symbol, series.bars[:end])
    session = Session(
        name=NAME,
        strategy=plan.strategy,
        class_name=class_name,
        code_sha256=code.sha256,
        account=ACCOUNT,
        symbols=(cut.symbol,),
        connection="",
        parameters=plan.settings,
    )
    _load_desk()
    began_s = time.perf_counter()
    built = _desk_run(session, code, cut, origin_utc)
    return _result(built, session, cut, time.perf_counter() - began_s)


def _load_desk() -> None:
    """As the real supervisor does before it starts a child: what all need is imported once, and what is there by now
    is no garbage for ever, so that no collection looks at it again (the bars alone are some 60,000 objects)."""
    for module in PRELOAD:
        import_module(module)
    sqlite_utils()
    gc.collect()
    gc.freeze()


def _desk_run(session: Session, code: Code, series: Series, origin_utc: float) -> Machine:
    about = _known(series.symbol)
    account = AccountSpec(ACCOUNT, "Futures" if about.is_future else "Margin", CASH_USD)
    built = machine(
        Market([series]),
        [(session, code)],
        origin_utc=origin_utc,
        rate=RATE,
        begins_s=START_S + LEAD_S,
        settings=Settings(
            accounts=(account,),
            heartbeat_s=CALM_TIMING.heartbeat_s,
            every_print=False,
            switches=Switches(quota="off"),
            rules=Rules(stop_hit_frames=False),  # of a stop's fill only the end is told, as of prices
        ),
        timing=CALM_TIMING,
        quotas="off",  # of machine time, which has 300 market seconds here: they would hold bars of thin minutes back
    )
    desk = built.life(1)
    desk.boot()
    until_s = START_S + LEAD_S + (series.stamps[-1] - origin_utc) / RATE + AFTER_S
    while built.kernel.now_s < until_s:
        built.kernel.run(min(built.kernel.now_s + LOOK_EVERY_S, until_s))
        _raise_crash(desk, code)
    return built


def _raise_crash(desk: SimDesk, code: Code) -> None:
    """Nothing dies in a world without faults, but by a mistake: the strategy's, or ours."""
    if not desk.crashes:
        return
    trace = desk.crashes[0].rstrip()
    lines = re.findall(rf'File "{re.escape(code.filename)}", line (\d+)', trace)
    if not lines:
        raise RuntimeError(f"a process of the desk died in a world without faults: {trace}")
    raise StrategyFailed(f"the strategy raised: {trace.splitlines()[-1]} ({code.filename}:{lines[-1]})\n{trace}")


# -- what is asked for -------------------------------------------------------------------------------------------------


def _series(plan: Plan, warn: Callable[[str], None]) -> Series:
    try:
        if plan.data:
            return load_series(Path(plan.data).expanduser(), warn, plan.symbol)
        series = load_market([plan.symbol], warn).series(plan.symbol)
    except DataError as error:
        raise BadTest(str(error)) from error
    assert series is not None
    return series


def _code(plan: Plan) -> tuple[Code, str]:
    """The code, once its class was made and its parameters fit."""
    try:
        code, class_name = find_code(plan.strategy)
    except BadStrategy as error:
        raise BadTest(str(error)) from error
    try:
        strategy = load(code, class_name)
    except Exception as error:  # whatever the user's module does when it is imported, its line is told
        raise StrategyFailed(f"{code.filename} cannot be loaded:\n{traceback.format_exc()}") from error
    try:
        parameters(strategy, plan.settings)
    except UnfitStrategy as error:
        raise BadTest(str(error)) from error
    return code, class_name


def _known(symbol: str) -> Instrument:
    about = instrument(symbol)
    assert about is not None, "the loader takes known symbols only"
    return about


def _told(utc: float | None, otherwise: str) -> str:
    return otherwise if utc is None else utc_text(utc)


# -- what came of it ---------------------------------------------------------------------------------------------------


def _result(built: Machine, session: Session, series: Series, elapsed_s: float) -> Result:
    journal = built.store(journal_path(NAME))
    fills = tuple(_fills(journal, built))
    turns = journal.query("SELECT closed_utc FROM turns WHERE closed_utc IS NOT NULL ORDER BY number")
    closes_utc = [int(row["closed_utc"]) for row in turns]
    ticker = Ticker(_known(series.symbol).point_usd, series.bars[-1].close)
    return Result(
        strategy=f"{session.strategy}:{session.class_name}" if ":" not in session.strategy else session.strategy,
        code_sha256=session.code_sha256,
        symbols=session.symbols,
        parameters=session.parameters,
        first_bar_utc=utc_text(closes_utc[0]) if closes_utc else "",
        last_bar_utc=utc_text(closes_utc[-1]) if closes_utc else "",
        bars=len(closes_utc),
        orders=int(journal.query("SELECT count(*) AS n FROM orders")[0]["n"]),
        fills=fills,
        money=money(fills, {series.symbol: ticker}),
        refusals=refusals(_rejects(journal)),
        exposure=exposure(fills, closes_utc, uncovered_s(journal, "market_s"), float(series.stamps[-1])),
        elapsed_s=round(elapsed_s, 3),
        bars_per_s=round(len(closes_utc) / elapsed_s, 1),
    )


def _fills(journal: SqliteStore, built: Machine) -> Iterable[Fill]:
    """As stored; the fee of an order is told by the venue's own book (its fills are whole)."""
    book = built.outside.state.ledger.orders
    rows = journal.query(
        "SELECT seen_utc, fills.symbol, fills.side, fills.quantity, price, order_id,"
        " CASE WHEN purpose = 'stop' AND type = 'market' THEN 'exit' ELSE purpose END AS purpose"
        " FROM fills JOIN orders USING (order_id) ORDER BY number"
    )
    for row in rows:
        told = {**row, "seen_utc": round(row["seen_utc"], 3), "fee_usd": book[row["order_id"]].commission_usd}
        yield msgspec.convert({**told, "side": Side(row["side"])}, Fill)


def _rejects(journal: SqliteStore) -> Iterable[tuple[str, str]]:
    """Gate and text of all that was told to ``on_reject`` (the events count repeats, the rows have each)."""
    for row in journal.query("SELECT body FROM rows ORDER BY number"):
        told = msgspec.json.decode(row["body"], type=Row).content
        if isinstance(told, RejectRow):
            yield told.gate, told.text
