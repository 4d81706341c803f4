"""The end of a session's trading, as its account manager sees it: the trader goes, positions are minded, then all ends.

The trader is told to stop and has its time; from then on wanted is ``mind``, and ``off`` once nothing is left.
"""

from __future__ import annotations

from typing import Literal

from feeds.config import Timing
from supervisor.errors import CallFailed, Refused
from supervisor.messages import Message
from supervisor.process.world import World
from trader.manager.account import Account
from trader.messages import EndTrading, Need, NeedBars, SetWanted, StopTrading
from trader.sessions import data_source_name, trader_name

RECORDER_LIMIT_S = 2.0
"""The recorder commits one row; if it is away or slow, the next tick asks again."""
MINDING_BARS_S = 60
"""Interval of the bars by which a take or trail of the desk goes on when the trader is done."""


class TerminateTrader(Message, frozen=True):
    """Timer: a trader that was told to stop has had its time."""

    start_no: int


class Minding:
    """``trader_finished``: it has said so itself."""

    def __init__(self, world: World, account: Account, timing: Timing) -> None:
        self._world, self._account, self._timing = world, account, timing
        self._trader, self._data_source = trader_name(account.session.name), data_source_name(account.session.name)
        self._told = ""
        self.trader_finished = False

    def begins_again(self) -> None:
        """The session was started anew."""
        self.trader_finished, self._told = False, ""

    def stop_trader(self, request: EndTrading) -> None:
        if self._account.trading_done and not self.trader_finished:
            self._world.cast(self._trader, StopTrading(request.reason))
            self._world.after(request.limit_s, TerminateTrader(request.start_no))

    def terminate_trader(self, message: TerminateTrader) -> None:
        if self.trader_finished or message.start_no != self._account.start_no:
            return
        try:
            self._world.supervisor.terminate_child(self._trader)
        except CallFailed as failed:
            self._world.log.warning("the trader was not terminated", error=str(failed))

    def need_bars(self) -> None:
        """A trader asks for its bars. Where there is none any more, those of what is minded are asked for here."""
        if not (self._account.trading_done and self._account.watches):
            return
        needs = tuple(Need(symbol, MINDING_BARS_S) for symbol in self._account.session.symbols)
        try:
            self._world.call(self._data_source, NeedBars(needs), timeout_s=self._timing.http_limit_s)
        except CallFailed as failed:
            self._world.log.warning("takes and trails of the desk have no bars", error=str(failed))

    def tell_wanted(self) -> None:
        """From ``done`` on wanted is ``mind``; when nothing of the session is left it is ``off``, and this ends."""
        if not self._account.trading_done:
            return
        wanted: Literal["mind", "off"] = "off" if self._account.over else "mind"
        if wanted == self._told:
            return
        session, reason = self._account.session.name, self._account.journal.done.reason
        request = SetWanted(name=session, wanted=wanted, start_no=self._account.start_no, reason=reason)
        try:
            self._world.call("recorder", request, timeout_s=RECORDER_LIMIT_S)
        except Refused as refused:
            self._world.log.info("not applied: the session was started again", wanted=wanted, why=str(refused))
        except CallFailed as failed:
            self._world.log.warning("the recorder is asked again", wanted=wanted, error=str(failed))
            return
        else:
            if wanted == "off":
                self._world.end("trading is done, the account is flat, no order works")
        self._told = wanted
