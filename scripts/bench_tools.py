"""What all benches share: the shape of a figure, and how figures are printed. Knows no bench.

One JSON object a line with ``--json``: bench, figure, n, p50, p99, unit, floor_p50, ratio (null where it does not
apply). Without: a table for people. A floor is the least that the machine itself needs, measured in the same run.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """``n`` measurements. ``ratio``: p50 by its floor. Of a single measurement p50 and p99 are the same number."""

    bench: str
    figure: str
    n: int
    p50: float
    p99: float
    unit: str
    floor_p50: float | None = None
    ratio: float | None = None


def figure(
    bench: str, name: str, values: Sequence[float], unit: str, floor: Sequence[float] | None = None, digits: int = 3
) -> Figure:
    """ValueError where nothing was measured."""
    if not values:
        raise ValueError(f"{bench}: {name} was never measured")
    p50, floor_p50 = percentile(values, 50), percentile(floor, 50) if floor else None
    return Figure(
        bench=bench,
        figure=name,
        n=len(values),
        p50=round(p50, digits),
        p99=round(percentile(values, 99), digits),
        unit=unit,
        floor_p50=None if floor_p50 is None else round(floor_p50, digits),
        ratio=round(p50 / floor_p50, 2) if floor_p50 else None,
    )


def percentile(values: Sequence[float], percent: int) -> float:
    """The nearest rank: a number that was measured, never one in between."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def run(measure: Callable[[argparse.Namespace], Iterable[Figure]], options: argparse.ArgumentParser) -> int:
    """The main of a bench: each figure is printed when it is known, so that a long bench shows what it has."""
    options.add_argument("--json", action="store_true", help="one JSON object a line on stdout")
    chosen = options.parse_args()
    if not chosen.json:
        print(f"{'figure':52} {'n':>5} {'p50':>10} {'p99':>10} {'floor p50':>10} {'ratio':>7}  unit")
    for each in measure(chosen):
        print(msgspec.json.encode(each).decode() if chosen.json else line(each), flush=True)
    return 0


def line(each: Figure) -> str:
    floor = "" if each.floor_p50 is None else f"{each.floor_p50:g}"
    ratio = "" if each.ratio is None else f"{each.ratio:g}"
    return f"{each.figure:52} {each.n:5} {each.p50:10g} {each.p99:10g} {floor:>10} {ratio:>7}  {each.unit}"


def say(text: str) -> None:
    """What goes on, beside the figures."""
    sys.stderr.write(f"bench: {text}\n")
    sys.stderr.flush()
