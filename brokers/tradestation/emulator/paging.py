"""Lists in pages: tokens that are valid one hour and for one request [spec]. PURE."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from brokers.tradestation.emulator.errors import bad_request

TOKEN_LIFETIME_S = 3600.0
TOKENS_MAX = 10_000
PAGE_MAX = 600


class Place(msgspec.Struct, frozen=True):
    """Where a list goes on: after this id, of the list that ``asked`` names."""

    asked: str
    after_id: str
    expires_s: float


class Pages:
    """The tokens given out and not used yet."""

    def __init__(self) -> None:
        self._places: dict[str, Place] = {}
        self._given = 0

    def resume(self, token: str, asked: str, now_s: float) -> str:
        """The id after which the list goes on. Raises Refusal(400) for a token that is used up, old or another's."""
        place = self._places.pop(token, None)
        if place is None or now_s >= place.expires_s or place.asked != asked:
            raise bad_request("Invalid nextToken: it is valid for one hour, for the next request and for its own list.")
        return place.after_id

    def give(self, asked: str, after_id: str, now_s: float) -> str:
        self._given += 1
        token = hashlib.blake2b(f"{self._given} {asked} {after_id}".encode(), digest_size=12).hexdigest()
        self._places[token] = Place(asked, after_id, now_s + TOKEN_LIFETIME_S)
        if len(self._places) > TOKENS_MAX:
            self._places.pop(next(iter(self._places)))
        return token


def page(ids: Sequence[str], after_id: str, size: int) -> tuple[int, int]:
    """From where to where the page goes. ``ids`` come newest first, so what follows is smaller; an order that came
    meanwhile is on no later page, one that left takes nothing with it."""
    start = next((n for n, one in enumerate(ids) if _older(one, after_id)), len(ids)) if after_id else 0
    return start, min(start + size, len(ids))


def _older(one: str, other: str) -> bool:
    return (len(one), one) < (len(other), other)
