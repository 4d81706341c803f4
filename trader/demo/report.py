"""The demo's end in words: what broke, what was exposed, what was done, the outcome. PURE."""

from __future__ import annotations

from trader.demo.lost_stop import LostStop
from trader.demo.verify import Count


def report(count: Count, broke: list[str]) -> str:
    """A page for a person."""
    verdict = "PASSED: nothing lost, nothing sent twice, books agree" if count.passed else "FAILED"
    lines = [
        "",
        f"NIGHT OF {count.seconds:.0f} s   SIM   {'●' if count.passed else '✖'} {verdict}",
        *(f"  ✖ {problem}" for problem in count.problems),
        "",
        "What broke",
        *(f"  {each}" for each in broke),
        "",
        "What was exposed",
        _gaps(count),
        *(f"  {_lost(each)}" for each in count.lost_stops),
        *(f"  {each} has no working stop at the end: a trade by hand has none, and is not ours" for each in count.bare),
        f"  {count.foreign_orders} trade(s) by hand; entries of that symbol stay held until a person releases it",
        "",
        "What was done",
        f"  {count.restarts} restarts, one for each death ({count.expected_restarts} expected, not charged); "
        f"the supervisor came up {count.supervisor_starts} times",
        f"  {count.goaways} GoAway(s) answered by reopening",
        f"  {count.divergences} divergence(s): seen, read again, adopted from the broker; no order mends one",
        f"  {count.holds} hold(s) by a person, {count.released} released; no entry was sent in between",
        "",
        "Outcome",
        f"  bars     expected {count.bars_expected}  seen {count.bars_seen}  "
        f"missing {count.bars_missing}  doubled {count.bars_doubled}",
        f"  orders   intents {count.intents}  at the broker {count.broker_orders}  sent twice {count.orders_twice}",
        "  books    " + ("ours = the broker's, positions and working orders" if count.books_agree else "DIFFER"),
    ]
    return "\n".join(lines)


def _gaps(count: Count) -> str:
    if not count.gaps:
        return "  no open position was without a working stop for a time that is over"
    longest = f"the longest for {count.longest_gap_s:.3f} s, {count.uncovered_s:.3f} s in all"
    return f"  {count.gaps} time(s) an open position was without a working stop, each closed again: {longest}"


def _lost(lost: LostStop) -> str:
    """Milliseconds: what the desk says it was, and by the venue's own book."""
    return (
        f"the venue rejected the stop of {lost.symbol}: noticed after {_ms(lost.noticed_s)}, recorded as bare for "
        f"{_ms(lost.recorded_s)}; by the venue's book {_ms(lost.bare_s)}"
    )


def _ms(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds * 1000:.0f} ms"
