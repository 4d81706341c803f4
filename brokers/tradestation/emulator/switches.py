"""What nobody knows of the venue, as switches: whichever way it is, a client can be tried against it. PURE.

Each names the open question it stands for; the default is what the sources lean to. They live with the process: given
at start, changed over /emulator/switch. Where one acts is a line that reads ``state.switches``. A switch is a habit of
the venue and holds for everybody; a fault (fault_rules.py) is a mishap with a scope.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from brokers.tradestation.emulator.errors import OptionError
from brokers.tradestation.emulator.rules import Rules

SECONDS_MAX = 31_536_000.0
COUNT_MAX = 1_000_000_000


class Switches(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Seconds are machine seconds; 0 is "never" or "no limit". Each field's words are in ``MEANING``."""

    # Orders
    replace_keeps_id: bool = True
    order_snapshot: Literal["today", "open"] = "today"
    confirm_id_memory: Literal["forever", "day", "none"] = "forever"
    refusal_status: Literal[400, 403, 404, 409, 422, 500] = 400
    order_writes_per_minute: int = 0
    # Streams
    stream_ends_with_token: bool = False
    stream_age_max_s: float = 0.0
    goaway_every_s: float = 0.0
    goaway_form: Literal["status", "error"] = "status"
    idle_end_s: float = 0.0
    heartbeat_counts: bool = True
    timestamp_skew_s: float = 0.0
    chunks: Literal["whole", "random"] = "whole"
    # Bars
    empty_minute_bars: bool = False
    closed_frame: Literal["timer", "next_tick"] = "timer"
    default_session: Literal["all", "regular"] = "all"
    # Quotas
    quota: Literal["rolling", "fixed", "off"] = "rolling"
    history_bars_per_minute: int = 0
    # Tokens
    refresh_lifetime_s: float = 1800.0
    refresh_absolute_s: float = 86_400.0
    refresh_grace_s: float = 0.0


MEANING = {
    "replace_keeps_id": "a replaced order keeps its id; off: it goes on under a new one, the old one ends as UCH",
    "order_snapshot": "the order stream begins with all orders of today, or with the open ones only",
    "confirm_id_memory": "how long a used OrderConfirmID is refused: for ever, for the market day (UTC), not at all",
    "refusal_status": "status of an order that cannot be built and of a refused cancel or replace",
    "order_writes_per_minute": "quota of placing, replacing and cancelling, together",
    "stream_ends_with_token": "a stream ends when the token that opened it expires",
    "stream_age_max_s": "no stream gets older than this",
    "goaway_every_s": "each stream is sent GoAway and ended at this age",
    "goaway_form": "how that GoAway is written: as StreamStatus or as Error",
    "idle_end_s": "a stream that had nothing to tell but heartbeats for so long is ended",
    "heartbeat_counts": "the integer of a heartbeat counts up; off: it is always 1",
    "timestamp_skew_s": "the clock behind the heartbeats' Timestamp is wrong by so much (may be negative)",
    "chunks": "chunks end with an object, or anywhere in one",
    "empty_minute_bars": "a minute without trades yields a flat bar without volume",
    "closed_frame": "a stream tells a bar as Closed at its end, or with the first trade after it",
    "default_session": "what sessiontemplate Default holds of a stock: everything, or regular hours",
    "quota": "requests are counted in a bucket that refills, in fixed windows, or not at all",
    "history_bars_per_minute": "size of the credit allowance: historical minute bars a minute",
    "refresh_lifetime_s": "a rotating refresh token that is not used for so long is dead",
    "refresh_absolute_s": "rotating refresh tokens end so long after the sign-in, however often they were renewed",
    "refresh_grace_s": "a rotated refresh token is accepted again for so long",
}
ORDER_RULES = Rules.__struct_fields__
"""Turned by the same door: how orders are executed and told (rules.py)."""
_BOUNDS = {
    "timestamp_skew_s": (-SECONDS_MAX, SECONDS_MAX),
    "order_writes_per_minute": (0, COUNT_MAX),
    "history_bars_per_minute": (0, COUNT_MAX),
}
_WORDS = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}


class Turned(msgspec.Struct, frozen=True):
    """Everything that can be turned, after it was."""

    switches: Switches
    rules: Rules


def turned(before: Turned, changes: dict[str, Any]) -> Turned:
    """With these changes. Raises OptionError that names the switch and what it can be."""
    unknown = sorted(set(changes) - set(MEANING) - set(ORDER_RULES))
    if unknown:
        raise OptionError(f"switch {', '.join(unknown)} is not known; there are {', '.join([*MEANING, *ORDER_RULES])}")
    ours = {name: value for name, value in changes.items() if name in MEANING}
    theirs = {name: value for name, value in changes.items() if name in ORDER_RULES}
    try:
        switches = msgspec.convert({**msgspec.to_builtins(before.switches), **ours}, Switches)
        rules = msgspec.convert({**msgspec.to_builtins(before.rules), **theirs}, Rules)
    except msgspec.ValidationError as error:
        raise OptionError(f"switch: {error}") from error
    for name in changes:
        value = getattr(switches if name in MEANING else rules, name)
        least, most = _BOUNDS.get(name, (0, SECONDS_MAX))
        if isinstance(value, int | float) and not least <= value <= most:
            raise OptionError(f"switch {name} must be from {least:g} to {most:g}, got {value:g}")
    return Turned(switches, rules)


def switch_of(text: str) -> tuple[str, Any]:
    """``name=value`` as a command gives it. Raises OptionError."""
    name, given, value = text.partition("=")
    defaults = {**msgspec.structs.asdict(Switches()), **msgspec.structs.asdict(Rules())}
    if not given or name not in defaults:
        raise OptionError(f"switch {text!r}: must be NAME=VALUE, the names are {', '.join(defaults)}")
    default = defaults[name]
    if isinstance(default, bool):
        if value.lower() not in _WORDS:
            raise OptionError(f"switch {name}: must be on or off, got {value!r}")
        return name, _WORDS[value.lower()]
    if isinstance(default, str):
        return name, value
    try:
        return name, int(value) if isinstance(default, int) else float(value)
    except ValueError as error:
        raise OptionError(f"switch {name}: must be a number, got {value!r}") from error


def turned_by(texts: tuple[str, ...]) -> Turned:
    """The defaults with what a command gives. Raises OptionError."""
    return turned(Turned(Switches(), Rules()), dict(switch_of(text) for text in texts))
