"""Faults with a scope: what goes wrong, for whom, at which time, how often. PURE.

A rule waits until something it is about comes along (a request, an event of an order, a closed bar, a chunk of a
stream) and then acts, by number, chance or schedule. Chance is drawn from the rule's seed, so that the same run gives
the same faults. What each fault does is done where it acts (mishaps.py for requests, distort.py for frames).
"""

from __future__ import annotations

import hashlib
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from brokers.tradestation.emulator.errors import bad_request

SECONDS_MAX = 86_400.0
RULES_MAX = 1_000

Where = Literal["request", "order", "fill", "replace", "bar", "position", "chunk", "book"]

FAULTS: dict[str, tuple[Where, str]] = {
    "lose_reply": ("request", "the connection is cut without an answer, `when` before or after it was carried out"),
    "status": (
        "request",
        "answered with `status`, `when` before or after it was carried out; `body` json, empty, html",
    ),
    "slow_reply": ("request", "carried out at once, and answered after `seconds`"),
    "auth0_error": ("request", "the sign-in host answers with `error` and `message` in its own shape, status 403"),
    "mute": ("request", "a stream is opened with 200 and never sends a byte"),
    "late_booking": ("request", "an order placed is in no list of orders for `seconds`"),
    "inert_stop": (
        "request",
        "stops placed by it work and never fire, until healed; `times` counts requests: 0 for all",
    ),
    "duplicate_allowed": ("request", "a used OrderConfirmID is not refused"),
    "small_pages": ("request", "a list of orders comes in pages of `count`"),
    "drop_order": ("order", "an order's frames are not sent; lists of orders stay right"),
    "fill_on_ack": ("fill", "the first frame of a fill says ACK"),
    "fill_twice": ("fill", "the frames of a fill come once more"),
    "orders_lag": (
        "book",
        "a fill shows in positions at once; of the account's orders lists tell, and streams say nothing, for `seconds`,"
        " as if it and what came after had not happened",
    ),
    "out_after_replace": ("replace", "an OUT without close time follows a replace, and the order lives on"),
    "unknown_status": ("order", "a frame with the status `text` comes before the event's own"),
    "bars_repeat": ("bar", "a closed bar comes twice"),
    "bars_late": ("bar", "the stream is silent for `seconds`, then tells all"),
    "bars_gap": ("bar", "a closed bar is not sent"),
    "position_deleted": ("position", "a position that is held is told as Deleted after its frame"),
    "goaway": ("chunk", "GoAway in the form `text` (status or error), then the end"),
    "stall": ("chunk", "not a byte for `seconds`"),
    "end": (
        "chunk",
        "the stream ends: `how` close, half (FIN without last chunk), reset, torn (reset inside an object)",
    ),
    "error": ("chunk", "an `error` with `message` in the stream, which goes on"),
    "dual_logon": ("chunk", "DualLogon, then the end"),
}


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``path``: of a request, "METHOD /path" with * for anything. ``kind``: of a stream. ``nth``: acts from the so
    manieth match on, so often (``times``, 0: without end), with this probability, from ``after_s`` (machine seconds)
    for ``for_s`` (0: without end), at most once in ``every_s``."""

    fault: str
    symbol: str = ""
    account: str = ""
    order: str = ""
    kind: str = ""
    path: str = ""
    nth: int = 1
    times: int = 1
    probability: float = 1.0
    after_s: float = 0.0
    for_s: float = 0.0
    every_s: float = 0.0
    seed: int = 0
    when: Literal["before", "after"] = "after"
    how: Literal["close", "half", "reset", "torn"] = "close"
    body: Literal["json", "empty", "html"] = "json"
    status: int = 503
    seconds: float = 30.0
    count: int = 1
    error: str = ""
    message: str = "injected by the emulator"
    text: str = ""


class Scope(msgspec.Struct, frozen=True):
    """What comes along: whom it is about."""

    symbols: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    orders: tuple[str, ...] = ()
    kind: str = ""
    path: str = ""


class Armed(msgspec.Struct):
    """A rule that waits. ``matches``: what it was about so far; ``hits``: how often it acted."""

    number: int
    rule: Rule
    given_s: float
    matches: int = 0
    hits: int = 0
    last_hit_s: float = float("-inf")

    def is_about(self, scope: Scope) -> bool:
        rule = self.rule
        return (
            (not rule.symbol or rule.symbol in scope.symbols)
            and (not rule.account or rule.account in scope.accounts)
            and (not rule.order or rule.order in scope.orders)
            and (not rule.kind or rule.kind == scope.kind)
            and (not rule.path or fnmatchcase(scope.path, rule.path))
        )

    def acts(self, now_s: float) -> bool:
        """Asked once for each match, which is counted here."""
        rule, since_s = self.rule, now_s - self.given_s
        if since_s < rule.after_s or (rule.for_s and since_s >= rule.after_s + rule.for_s):
            return False
        self.matches += 1
        if self.matches < rule.nth or (rule.times and self.hits >= rule.times):
            return False
        if now_s - self.last_hit_s < rule.every_s or chance(rule.seed, self.number, self.matches) >= rule.probability:
            return False
        self.hits += 1
        self.last_hit_s = now_s
        return True


class FaultRules:
    """False where none waits: then nothing is asked."""

    def __init__(self) -> None:
        self.armed: list[Armed] = []
        self._given = 0

    def __bool__(self) -> bool:
        return bool(self.armed)

    def arm(self, rule: Rule, now_s: float) -> Armed:
        """Raises Refusal(400) that names what is wrong."""
        check(rule)
        if len(self.armed) >= RULES_MAX:
            raise bad_request(f"{RULES_MAX} faults are armed; heal first")
        self._given += 1
        self.armed.append(Armed(self._given, rule, now_s))
        return self.armed[-1]

    def hits(self, where: Where, scope: Scope, now_s: float) -> list[Rule]:
        """The rules that act on what came along, in the order they were given."""
        return [one.rule for one in self.armed if self._is_at(one, where) and one.is_about(scope) and one.acts(now_s)]

    def asks(self, where: Where) -> bool:
        """Whether any rule waits for this."""
        return any(self._is_at(one, where) for one in self.armed)

    @staticmethod
    def _is_at(one: Armed, where: Where) -> bool:
        return FAULTS[one.rule.fault][0] == where


def check(rule: Rule) -> None:
    if rule.fault not in FAULTS:
        raise bad_request(f"fault {rule.fault!r} is not known; there are {', '.join(FAULTS)}")
    for name in ("after_s", "for_s", "every_s", "seconds"):
        if not 0 <= getattr(rule, name) <= SECONDS_MAX:
            raise bad_request(f"{name} must be from 0 to {SECONDS_MAX:g} seconds, got {getattr(rule, name)}")
    if not 0 <= rule.probability <= 1:
        raise bad_request(f"probability must be from 0 to 1, got {rule.probability}")
    if rule.nth < 1 or rule.times < 0 or rule.count < 1:
        raise bad_request(
            f"nth and count must be at least 1 and times at least 0, got {rule.nth}, {rule.count}, {rule.times}"
        )
    if rule.fault == "status" and not 400 <= rule.status <= 599:
        raise bad_request(f"status must be from 400 to 599, got {rule.status}")
    if rule.fault == "goaway" and rule.text not in ("", "status", "error"):
        raise bad_request(f"text must be status or error, got {rule.text!r}")


def chance(*words: object) -> float:
    """From 0 up to, not including, 1: the same for the same words, in every interpreter."""
    digest = hashlib.blake2b(" ".join(map(str, words)).encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big") / (1 << 56)
