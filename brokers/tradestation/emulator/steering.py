"""What a tester turns and arms: switches and fault rules, over /emulator/ or from Python. PURE."""

from __future__ import annotations

from typing import Any

import msgspec

from brokers.tradestation.emulator import book, mishaps, steps, stream_ends
from brokers.tradestation.emulator.errors import OptionError, bad_request
from brokers.tradestation.emulator.fault_rules import FAULTS, Armed, Rule
from brokers.tradestation.emulator.state import State
from brokers.tradestation.emulator.switches import MEANING, Turned, turned
from brokers.tradestation.emulator.values import Now, Request
from brokers.tradestation.emulator.wire import Object


def turn(state: State, changes: dict[str, Any], now: Now) -> Object:
    """Turn switches; what is open already follows. Raises Refusal(400)."""
    try:
        after = turned(Turned(state.switches, state.rules), changes)
    except OptionError as error:
        raise bad_request(str(error)) from error
    state.switches = after.switches
    if after.rules != state.rules:
        state.record(book.RulesChanged(after.rules), now)
    for stream in state.streams.values():
        stream_ends.rearm(stream, state.switches)
    if changes:
        detail = " ".join(f"{name}={value}" for name, value in changes.items())
        state.record(book.FaultInjected("switch", detail), now)
    return shown_switches(state)


def shown_switches(state: State) -> Object:
    values = msgspec.structs.asdict(state.switches) | msgspec.structs.asdict(state.rules)
    return {"Switches": values, "Meaning": MEANING}


def arm(state: State, rule: Rule, now: Now) -> Object:
    """Raises Refusal(400)."""
    armed = state.fault_rules.arm(rule, now.machine_s)
    state.record(mishaps.told(rule), now)
    return _shown(armed)


def heal(state: State, number: int, now: Now) -> Object:
    """Take one rule away, or (0) all of them, and let stalled streams speak again. Switches stay as they are."""
    healed = [one for one in state.fault_rules.armed if number in (0, one.number)]
    if number and not healed:
        raise bad_request(f"no fault of number {number} is armed")
    state.fault_rules.armed = [one for one in state.fault_rules.armed if one not in healed]
    if not number:
        state.hidden_until_s.clear()
        state.lagging.clear()
        healed_orders, state.inert = state.inert, set()
        for order_id in healed_orders & set(state.ledger.open_ids):
            steps.rewatch(state, order_id)
        for stream in state.streams.values():
            stream.stalled_until_s = 0.0
    state.record(book.FaultInjected("heal", f"{len(healed)} faults"), now)
    return {"Healed": len(healed)}


def shown_faults(state: State, request: Request, now: Now) -> Object:
    kinds = [{"Fault": name, "At": where, "Does": words} for name, (where, words) in FAULTS.items()]
    return {"Armed": [_shown(one) for one in state.fault_rules.armed], "Known": kinds}


def _shown(armed: Armed) -> Object:
    rule = msgspec.to_builtins(armed.rule)
    return {"Number": armed.number, "Rule": rule, "Matches": armed.matches, "Hits": armed.hits}
