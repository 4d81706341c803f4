"""How a stream ends, breaks or says something odd: by a switch or by a fault. PURE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokers.tradestation.emulator import wire
from brokers.tradestation.emulator.fault_rules import Rule, chance
from brokers.tradestation.emulator.switches import Switches
from brokers.tradestation.emulator.values import Now

if TYPE_CHECKING:
    from brokers.tradestation.emulator.streams import Stream


def strike(stream: Stream, rule: Rule, now: Now) -> None:
    """What a fault of this kind does to a stream that has something to send."""
    match rule.fault:
        case "goaway":
            stream.pending.append(wire.line(goaway_frame(rule.text)))
            stream.ending = "close"
        case "stall":
            stream.stalled_until_s = now.machine_s + rule.seconds
        case "end":
            stream.ending = rule.how
        case "error":
            error = {"Error": rule.error or "InternalServerError", "Message": rule.message}
            stream.pending.append(wire.line(error))
        case "dual_logon":
            symbol: wire.Object = {"Symbol": stream.symbols[0]} if stream.symbols else {}
            stream.pending.append(wire.line({**symbol, "Error": "DualLogon", "Message": rule.message}))
            stream.ending = "close"


def goaway_frame(form: str) -> wire.Object:
    if form == "error":
        return {"Error": "GoAway", "Message": "The server is about to stop; reconnect."}
    return {"StreamStatus": "GoAway"}


def rearm(stream: Stream, switches: Switches) -> None:
    """After a switch was turned, and at the opening."""
    stream.ends_s = end_of(stream, switches)[0]


def end_of(stream: Stream, switches: Switches) -> tuple[float, str]:
    """When the first switch ends this stream, and which one; never where none is on."""
    ends = [(float("inf"), "")]
    if switches.stream_ends_with_token:
        ends.append((stream.token_expires_s, "token"))
    if switches.stream_age_max_s:
        ends.append((stream.opened_s + switches.stream_age_max_s, "age"))
    if switches.goaway_every_s:
        ends.append((stream.opened_s + switches.goaway_every_s, "goaway"))
    if switches.idle_end_s:
        ends.append((stream.told_s + switches.idle_end_s, "idle"))
    return min(ends)


def end_by_switch(stream: Stream, switches: Switches) -> None:
    if end_of(stream, switches)[1] == "goaway":
        stream.pending.append(wire.line(goaway_frame(switches.goaway_form)))
    stream.ending, stream.ends_s = "close", float("inf")


def cut(stream: Stream, data: bytes) -> bytes:
    """Up to anywhere; the rest is for the next chunk. A torn stream ends inside its last object."""
    if stream.ending == "torn":
        last = data.rstrip(b"\n").rfind(b"\n") + 1
        return data[: last + max(1, (len(data) - last) // 2)]
    place = 1 + int(chance(stream.stream_id, stream.opened_s, stream.last_sent_s) * len(data))
    if place < len(data):
        stream.pending = [data[place:]]
    return data[:place]
