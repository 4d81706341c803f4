"""What the rules do to the frames of a stream. PURE. Nothing here is reached while no rule waits."""

from __future__ import annotations

from typing import Any

import msgspec

from brokers.tradestation.emulator.fault_rules import FaultRules, Rule, Scope

Frames = list[bytes]


def order_frames(
    rules: FaultRules, scope: Scope, frames: Frames, now_s: float, *, filled: bool, replaced: bool
) -> Frames:
    hits = rules.hits("fill", scope, now_s) if filled else []
    hits += rules.hits("replace", scope, now_s) if replaced else []
    for rule in [*hits, *rules.hits("order", scope, now_s)]:
        frames = _of_order(rule, frames)
    return frames


def _of_order(rule: Rule, frames: Frames) -> Frames:
    if not frames or rule.fault == "drop_order":
        return []
    if rule.fault == "fill_twice":
        return frames * 2
    if rule.fault == "fill_on_ack":
        return [_with(frames[0], Status="ACK", StatusDescription="Received"), *frames[1:]]
    if rule.fault == "out_after_replace":
        return [*frames, _with(frames[-1], Status="OUT", StatusDescription="UROut")]
    return [_with(frames[0], Status=rule.text or "QQQ", StatusDescription="Unheard of"), *frames]


def bar_frames(rules: FaultRules, scope: Scope, frames: Frames, now_s: float) -> tuple[Frames, float]:
    """The frames of closed bars, and until when (machine time) the stream is silent."""
    told: Frames = []
    silent_until_s = 0.0
    for frame in frames:
        kept = [frame]
        for rule in rules.hits("bar", scope, now_s):
            if rule.fault == "bars_gap":
                kept = []
            elif rule.fault == "bars_repeat":
                kept = kept * 2
            else:
                silent_until_s = max(silent_until_s, now_s + rule.seconds)
        told += kept
    return told, silent_until_s


def position_frames(
    rules: FaultRules, scope: Scope, frames: list[dict[str, Any]], now_s: float
) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    for frame in frames:
        told.append(frame)
        if "Deleted" not in frame and rules.hits("position", scope, now_s):
            told.append({"PositionID": frame["PositionID"], "Deleted": True})
    return told


def _with(frame: bytes, **changes: str) -> bytes:
    shown = {**msgspec.json.decode(frame), **changes}
    shown.pop("ClosedDateTime", None)
    return msgspec.json.encode(shown) + b"\n"
