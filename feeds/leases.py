"""Who needs which feeds and books, and until when. PURE: the connection's memory of its users.

A holder's word replaces its last one and is valid for a while; nothing else is remembered. After a crash the book
is empty, so nothing is ended before all holders had time to speak (``listening_until_s``).
"""

from __future__ import annotations

import msgspec

from feeds.messages import Leases, StillNeeded


class Held(msgspec.Struct, frozen=True):
    feeds: tuple[str, ...]
    accounts: tuple[str, ...]
    until_s: float


class LeaseBook(msgspec.Struct, frozen=True):
    """Leases by holder."""

    holders: dict[str, Held] = {}
    listening_until_s: float = 0.0

    def told(self, word: StillNeeded, now_s: float, valid_s: float) -> LeaseBook:
        """A holder has spoken. One that needs nothing has given its lease back."""
        others = {holder: held for holder, held in self.holders.items() if holder != word.holder}
        if word.feeds or word.accounts:
            others[word.holder] = Held(word.feeds, word.accounts, now_s + valid_s)
        return msgspec.structs.replace(self, holders=others)

    def moved(self, late_s: float) -> LeaseBook:
        """All deadlines, later by what the judge himself was late: holders may have spoken to a stalled machine."""
        holders = {
            holder: msgspec.structs.replace(held, until_s=held.until_s + late_s)
            for holder, held in self.holders.items()
        }
        return LeaseBook(holders, self.listening_until_s + late_s)

    def pruned(self, now_s: float) -> LeaseBook:
        """Without the leases that are over."""
        valid = {holder: held for holder, held in self.holders.items() if held.until_s > now_s}
        return msgspec.structs.replace(self, holders=valid)

    def listening(self, now_s: float) -> bool:
        """Nothing may be ended yet."""
        return now_s < self.listening_until_s

    @property
    def feeds(self) -> list[str]:
        return sorted({feed for held in self.holders.values() for feed in held.feeds})

    @property
    def accounts(self) -> list[str]:
        return sorted({account for held in self.holders.values() for account in held.accounts})

    def shown(self, now_s: float) -> Leases:
        left = {holder: held.until_s - now_s for holder, held in self.holders.items()}
        return Leases(
            feeds={
                feed: {holder: left[holder] for holder, held in self.holders.items() if feed in held.feeds}
                for feed in self.feeds
            },
            books={
                account: {holder: left[holder] for holder, held in self.holders.items() if account in held.accounts}
                for account in self.accounts
            },
            listening_until_s=self.listening_until_s,
        )
