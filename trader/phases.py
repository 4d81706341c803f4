"""The phases of a session's markets as its account manager tells them: each once, as a numbered row."""

from __future__ import annotations

from trader.account import Account, Now
from trader.market_hours import Moment, Phase
from trader.messages import SessionRow

UNKNOWN_TOLD_AFTER_S = 60.0
"""Machine seconds: a desk that starts for the first time has its hours a few seconds later."""


def changed(account: Account, now: Now) -> dict[str, Moment]:
    """The symbols whose market is in another phase than was told last. A phase is told apart from the same one of
    another day by its beginning; an unknown one changes nothing."""
    found = {}
    for symbol in account.session.symbols:
        moment = account.moment(symbol, now)
        told = account.journal.phases.get(symbol)
        if moment.phase is not Phase.UNKNOWN and told != (moment.phase, moment.began_utc):
            found[symbol] = moment
    return found


def tell(account: Account, moments: dict[str, Moment]) -> None:
    """Into the journal, in a step's transaction. Where trading is done nobody reads rows: the phase alone is kept."""
    for symbol, moment in moments.items():
        account.journal.write_phase(symbol, moment.phase, moment.began_utc)
        if not account.trading_done:
            account.journal.add_row(SessionRow(symbol=symbol, phase=moment.phase, at_utc=moment.began_utc))


class Unknown:
    """Of which symbols the hours have been unknown for so long that it is told."""

    def __init__(self) -> None:
        self._since_s: dict[str, float] = {}
        self._told: set[str] = set()

    def look(self, account: Account, now: Now) -> tuple[list[str], list[str]]:
        """Symbols to be told of as unknown, and as known again."""
        opened, resolved = [], []
        for symbol in account.session.symbols:
            if account.moment(symbol, now).phase is Phase.UNKNOWN:
                since_s = self._since_s.setdefault(symbol, now.s)
                if now.s - since_s > UNKNOWN_TOLD_AFTER_S and symbol not in self._told:
                    self._told.add(symbol)
                    opened.append(symbol)
                continue
            self._since_s.pop(symbol, None)
            if symbol in self._told:
                self._told.remove(symbol)
                resolved.append(symbol)
        return opened, resolved
