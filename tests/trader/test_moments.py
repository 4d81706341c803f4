"""Moments as people write them."""

from datetime import UTC, datetime

import pytest

from trader.moments import moment_utc

NOW = datetime(2026, 11, 19, 7, 31, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("now", NOW),
        ("02:07", datetime(2026, 11, 19, 2, 7, tzinfo=UTC)),
        ("02:07:14", datetime(2026, 11, 19, 2, 7, 14, tzinfo=UTC)),
        ("2026-11-18", datetime(2026, 11, 18, tzinfo=UTC)),
        ("2026-11-18 02:00", datetime(2026, 11, 18, 2, tzinfo=UTC)),
        ("2026-11-18T02:00:30Z", datetime(2026, 11, 18, 2, 0, 30, tzinfo=UTC)),
        ("-2h", datetime(2026, 11, 19, 5, 31, 8, tzinfo=UTC)),
        ("-30min", datetime(2026, 11, 19, 7, 1, 8, tzinfo=UTC)),
        ("-1d", datetime(2026, 11, 18, 7, 31, 8, tzinfo=UTC)),
        ("+90s", datetime(2026, 11, 19, 7, 32, 38, tzinfo=UTC)),
    ],
)
def test_a_moment_is_read_against_now(text: str, meant: datetime) -> None:
    assert moment_utc(text, NOW.timestamp(), "Margin") == meant.timestamp()


@pytest.mark.parametrize(
    ("text", "kind", "now", "meant"),
    [
        ("today", "Margin", NOW, datetime(2026, 11, 19, 5, tzinfo=UTC)),
        ("today", "Futures", NOW, datetime(2026, 11, 18, 22, tzinfo=UTC)),
        ("yesterday", "Margin", NOW, datetime(2026, 11, 18, 5, tzinfo=UTC)),
        ("yesterday", "Futures", NOW, datetime(2026, 11, 17, 22, tzinfo=UTC)),
        ("today", "Futures", datetime(2026, 11, 22, 23, tzinfo=UTC), datetime(2026, 11, 20, 22, tzinfo=UTC)),
        ("yesterday", "Futures", datetime(2026, 11, 22, 23, tzinfo=UTC), datetime(2026, 11, 19, 22, tzinfo=UTC)),
    ],
)
def test_a_day_by_name_is_a_trading_day_of_the_account(text: str, kind: str, now: datetime, meant: datetime) -> None:
    """Midnight UTC lies inside both; a weekend is of the Monday after it."""
    assert moment_utc(text, now.timestamp(), kind) == meant.timestamp()


@pytest.mark.parametrize("text", ["", "soon", "25:00", "2026-13-01", "-2 hours", "tomorrow", "-h", "-9999999d"])
def test_what_is_no_moment_is_refused_with_what_is_wanted(text: str) -> None:
    with pytest.raises(ValueError, match="is no moment: wanted"):
        moment_utc(text, NOW.timestamp(), "Margin")
