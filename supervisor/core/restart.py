"""When a restart is one too many, and how long to wait then. PURE.

The arithmetic of intensity is OTP's (``supervisor:add_restart``): more than ``intensity`` restarts within the last
``period_s`` seconds is too many.
"""

from __future__ import annotations

from zlib import crc32

from supervisor.spec import BackOff, SupervisorFlags

EXPECTED_GAP_S = 1.0
"""A child that ends as expected is restarted at most once in this time: routine must not become a spin."""


def add_restart(restarts: tuple[float, ...], now_s: float, flags: SupervisorFlags) -> tuple[tuple[float, ...], bool]:
    """The restarts still within the period, with this one; and whether it is one too many."""
    kept = (now_s, *_within(restarts, now_s, flags.period_s))
    return kept, len(kept) > intensity(flags)


def budget_left(restarts: tuple[float, ...], now_s: float, flags: SupervisorFlags) -> int:
    """How many restarts more would be taken as bad luck now."""
    return max(0, intensity(flags) - len(_within(restarts, now_s, flags.period_s)))


def intensity(flags: SupervisorFlags) -> int:
    """Always a number once the flags are built."""
    assert isinstance(flags.intensity, int)
    return flags.intensity


def _within(restarts: tuple[float, ...], now_s: float, period_s: float) -> tuple[float, ...]:
    return tuple(at for at in restarts if now_s - at <= period_s)


def back_off_s(back_off: BackOff, tries: int, seed: str) -> float:
    """Wait before try number ``tries`` (0, 1, ..) of a held child: exponential, capped, full jitter.

    The jitter comes from ``seed`` (name and incarnation), so that it differs between children and tries and yet is a
    function of the state: the same history gives the same waits.
    """
    ceiling = min(back_off.cap_s, back_off.base_s * 2.0 ** min(tries, 30))
    return ceiling * (crc32(seed.encode()) / 0xFFFFFFFF)
