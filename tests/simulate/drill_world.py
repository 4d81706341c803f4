"""One session on the simulated machine, for drills: broken on purpose at a chosen moment; the venue's book judges."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from brokers.tradestation.emulator.book import AccountSpec
from brokers.tradestation.emulator.order import Order
from brokers.tradestation.emulator.state import Settings
from feeds.config import Timing
from supervisor.process.world import HttpReply
from supervisor.sim.desk import SimDesk
from supervisor.sim.kernel import Calm
from tests.simulate.regressions import MONDAY_UTC
from trader.demo.script import Stand
from trader.demo.verify import books_differ, count_bars
from trader.hosting.code import new_session
from trader.sessions import journal_path, manager_name
from trader.simulate import check, promises, week
from trader.simulate.assembly import machine

STRATEGY = str(Path(__file__).with_name("always_long.py"))
ACCOUNT = AccountSpec("SIM100001F", "Futures", Decimal(100_000))
STAND = Stand("drill", "ESZ13", ACCOUNT.account, STRATEGY)
OVER_A_WEEKEND_S = 3 * 86_400
"""What a drill that begins on a Friday may need of the next week."""
RATE = 20.0
"""As in nights: a bar each three machine seconds."""
MANAGER = manager_name(STAND.name)
JOURNAL = journal_path(STAND.name)


class Uncalm(Calm):
    """Nothing goes wrong by chance, but messages are bytes and each step is its own transaction, as where it does."""


class Drill:
    """``spoil``: what becomes of the venue's answer to a request of this method and path; give None to lose it."""

    def __init__(
        self,
        *,
        parameters: Mapping[str, Any] | None = None,
        settings: Settings | None = None,
        begin_utc: float = MONDAY_UTC,
        timing: Timing | None = None,
        **terms: Any,
    ) -> None:
        drilled = new_session(
            STAND.name,
            STAND.strategy,
            account=STAND.account,
            symbols=(STAND.symbol,),
            connection="",
            parameters=dict(parameters or {}),
            **terms,
        )
        weeks = int((begin_utc - week.BEGINS_UTC + OVER_A_WEEKEND_S) // week.WEEK_S) + 1
        chosen = msgspec.structs.replace(settings or Settings(), accounts=(ACCOUNT,))
        self.machine = machine(
            week.market(weeks),
            [drilled],
            origin_utc=begin_utc,
            rate=RATE,
            settings=chosen,
            timing=timing,
            chances=Uncalm(),
        )
        self.begin_utc = begin_utc
        self.lives: list[SimDesk] = []
        self.spoil: Callable[[str, str, HttpReply | None], HttpReply | None] = lambda method, path, answer: answer
        self._request = self.machine.outside.request
        self.machine.outside.request = self._spoilt  # type: ignore[method-assign]
        self.boot()

    # -- coming and going --------------------------------------------------------------------------------------------

    def boot(self) -> None:
        self.lives.append(self.machine.life(len(self.lives) + 1, keep_log=True))
        self.desk.boot()

    @property
    def desk(self) -> SimDesk:
        return self.lives[-1]

    def run(self, seconds: float) -> None:
        self.machine.kernel.run(self.machine.kernel.now_s + seconds)

    def until(self, condition: Callable[[], Any], limit_s: float = 60.0) -> float:
        """Machine seconds that it took."""
        began_s = self.machine.kernel.now_s
        while not condition():
            assert self.machine.kernel.now_s - began_s < limit_s, f"not within {limit_s:g} s\n{self.log()}"
            self.run(0.25)
        return self.machine.kernel.now_s - began_s

    def held_with_stop(self) -> None:
        """Where most drills begin: a position, and its stop at the broker."""
        self.until(lambda: self.theirs == 1 and self.ours == 1 and self.stops)
        self.run(2.0)

    # -- the venue ---------------------------------------------------------------------------------------------------

    def _spoilt(self, method: str, url: str, headers: dict[str, str], body: bytes, now_s: float) -> HttpReply | None:
        path = url.partition("?")[0].partition("/v3")[2]
        return self.spoil(method, path, self._request(method, url, headers, body, now_s))

    def tell(self, path: str, /, **body: Any) -> None:
        self.machine.outside.tell(path, self.machine.kernel.now_s, **body)
        self.machine.kernel.let_outside_go_on()

    def trade(self, quantity: int) -> None:
        self.tell("trade", account=STAND.account, symbol=STAND.symbol, quantity=quantity)

    def cancel(self, order_id: str) -> None:
        self.machine.outside.cancel_by_hand(order_id, self.machine.kernel.now_s)
        self.machine.kernel.let_outside_go_on()

    @property
    def theirs(self) -> int:
        return self.machine.outside.state.ledger.accounts[STAND.account].quantity(STAND.symbol)

    @property
    def orders(self) -> list[Order]:
        return list(self.machine.outside.state.ledger.orders.values())

    @property
    def stops(self) -> list[Order]:
        """Those that work."""
        return [order for order in self.orders if order.is_open and order.order_type == "StopMarket"]

    @property
    def entries(self) -> list[Order]:
        return [order for order in self.orders if order.order_type == "Market" and order.is_buy and not order.by_hand]

    # -- the session -------------------------------------------------------------------------------------------------

    @property
    def ours(self) -> Decimal:
        rows = self.query("SELECT quantity FROM positions") if JOURNAL in self.machine.kernel.disks else []
        return Decimal(rows[0]["quantity"]) if rows else Decimal(0)

    def query(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        return self.machine.store(JOURNAL).query(sql, parameters)

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        marks = ", ".join("?" for _ in kinds)
        return self.query(f"SELECT * FROM events WHERE kind IN ({marks}) ORDER BY number", *kinds)

    def desk_events(self, *kinds: str) -> list[dict[str, Any]]:
        marks = ", ".join("?" for _ in kinds)
        sql = f"SELECT * FROM events WHERE kind IN ({marks}) ORDER BY number"
        return self.machine.store("desk.db").query(sql, kinds)

    def log(self) -> str:
        lines = [line for life in self.lives for line in (life.log_lines or [])]
        return "\n".join(lines[-60:])

    @property
    def deaths(self) -> list[str]:
        return [row["text"] for row in self.desk_events("child.died", "child.hung")]

    # -- the judgement -----------------------------------------------------------------------------------------------

    def judge(self, *, agree: bool = True, bars: bool = True) -> None:
        """The oracle, over the venue's book: what a drill may never do, however it went."""
        journal, ledger = self.machine.store(JOURNAL), self.machine.outside.state.ledger
        timing = self.machine.config.timing
        asked = self.machine.outside.ask("orders", self.machine.kernel.now_s)
        keys = [order.confirm_id for order in ledger.orders.values() if order.confirm_id and not order.renews]
        broken = [f"key {key} was booked twice" for key in set(keys) if keys.count(key) > 1]
        for life in self.lives:
            broken += check.crashes(life.crashes)
        broken += check.crossings(ledger, STAND, journal, RATE)
        broken += check.late_entries(journal, ledger, STAND, timing.late_machine_s, RATE)
        broken += check.held_entries(journal, STAND)
        broken += promises.exceeded(journal, ledger, STAND)
        reads_utc = self.machine.outside.reads_utc.get(STAND.account, [])
        broken += promises.blind(journal, ledger, STAND, reads_utc, timing.agreed_max_age_s, RATE)
        broken += promises.reactions(journal, STAND)
        if agree:
            broken += books_differ(STAND, journal, asked)
            broken += promises.filled_once(journal, ledger, STAND)
        if bars:
            now_s = self.machine.kernel.now_s
            stamps = self.machine.outside.ask("bars", now_s, symbol=STAND.symbol, after=self.begin_utc)["Stamps"]
            ripe = [stamp for stamp in stamps if stamp < self.machine.outside.market_utc(now_s) - 60.0]
            seen = count_bars(STAND, journal, ripe)
            broken += [f"bars missing {seen.missing} doubled {seen.doubled}"] if seen.missing or seen.doubled else []
        assert not broken, "\n".join([*broken, self.log()])
