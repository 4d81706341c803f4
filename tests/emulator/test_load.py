"""Reading bar files: the bundled ones are whole; broken ones are named by file, line and value."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.tradestation.emulator.errors import DataError
from brokers.tradestation.emulator.instruments import instrument
from brokers.tradestation.emulator.load import bundled_symbols, load_market, load_series
from brokers.tradestation.emulator.market import Bar
from brokers.tradestation.emulator.wire import time_text

HEADER = "time,open,high,low,close,volume\n"
GOOD = "2013-10-07T14:01:00Z,1672.25,1672.5,1672,1672.25,1829\n"
NEXT = "2013-10-07T14:02:00Z,1672.5,1672.5,1671,1671.25,2763\n"


def written(folder: Path, text: str, name: str = "ESZ13_1m.csv.gz") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()))
    return path


def test_the_bundled_bars_are_whole() -> None:
    assert bundled_symbols() == ["ESH14", "ESZ13", "GOOG", "SPY"]
    market = load_market(bundled_symbols())
    counts = {symbol: len(one.bars) for symbol in market.symbols if (one := market.series(symbol))}
    assert counts == {"ESH14": 2656, "ESZ13": 12600, "GOOG": 1091, "SPY": 4839}


def test_a_good_file_is_read_exactly(tmp_path: Path) -> None:
    series = load_series(written(tmp_path, HEADER + GOOD + NEXT), pytest.fail)
    assert series.symbol == "ESZ13"
    assert series.stamps == [1381154460, 1381154520]
    assert str(series.bars[0].open) == "1672.25"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1: the header must be"),
        ("time,open,high,low,close\n" + GOOD, "line 1: the header must be"),
        (HEADER, "no bars"),
        (HEADER + NEXT + GOOD, "line 3: the time 2013-10-07T14:01:00Z is earlier"),
        (HEADER + GOOD + GOOD.replace("1829", "1830"), "line 3: the time 2013-10-07T14:01:00Z comes twice, with other"),
        (HEADER + GOOD + NEXT[:30], "line 3: 6 fields are due, 3 are there"),
        (HEADER + GOOD + "\n" + NEXT, "line 3: the line is empty, and more lines follow"),
        (HEADER + GOOD.replace(",1829", ""), "line 2: 6 fields are due, 5 are there"),
        (HEADER.replace(",volume", "") + GOOD, "volume must be there once"),
        (HEADER.replace("low", "high") + GOOD, "high, low must be there once"),
        (HEADER.replace(",", ";") + GOOD, "line 1: the header must be"),
        (
            HEADER + GOOD.replace("1829", ""),
            "volume must be a whole number of at least 0 and at most 1000000000000000, is ''",
        ),
        (HEADER + GOOD.replace("1829", "1.5"), "line 2: volume must be"),
        (HEADER + GOOD.replace("1829", "9" * 5000), "line 2: volume must be"),
        (HEADER + GOOD.replace("1829", "١٢"), "line 2: volume must be"),
        (HEADER + GOOD.replace("1672,", "0,"), "line 2: a price is above 0 (at least 0.00000001) and below 10000000"),
        (HEADER + GOOD.replace("1672,", "-37.63,"), "this one is '-37.63'"),
        (HEADER + GOOD.replace("1672,", "1E999999,"), "this one is '1E999999'"),
        (HEADER + GOOD.replace("1672,", "1" * 8 + ","), "this one is '11111111'"),
        (HEADER + GOOD.replace("1672,", "0." + "1" * 21 + ","), "of at most 20 digits"),
        (HEADER + GOOD.replace("1672,", "1_672,"), "line 2: not a finite price: '1_672'"),
        (HEADER + GOOD.replace("2013-10-07T14:01:00Z", "2013-10-07 14:01:00"), "has no zone"),
        (HEADER + GOOD.replace("2013-10", "1913-10"), "line 2: the time must be of the years 1970 to 2099"),
        (HEADER + GOOD.replace("2013-10-07T14:01:00Z", "1381154460"), "line 2: the time must be"),
        (HEADER + '"' + GOOD, "line 2: no row of a CSV file"),
        (HEADER + GOOD.replace("1672,", "nought,"), "line 2: not a price: 'nought'"),
        (HEADER + GOOD.replace("1672,", "NaN,"), "line 2: not a finite price"),
        (HEADER + GOOD.replace("1672.5", "1"), "line 2: low, open, close and high contradict"),
        (HEADER + GOOD.replace("1829", "-1"), "line 2: volume must be"),
        (HEADER + GOOD.replace("14:01:00Z", "14:01:30Z"), "line 2: a minute bar ends on a full minute"),
    ],
)
def test_a_broken_file_is_named_by_line_and_value(tmp_path: Path, text: str, says: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(DataError) as raised:
        load_series(path, pytest.fail)
    assert says in str(raised.value)
    assert str(path) in str(raised.value)


def test_a_truncated_gzip_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER + GOOD * 1)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match="cut short"):
        load_series(path, pytest.fail)


def test_a_bar_said_twice_alike_is_used_once_and_one_line_counts_them(tmp_path: Path) -> None:
    told: list[str] = []
    path = written(tmp_path, HEADER + GOOD + GOOD + NEXT + NEXT + NEXT)
    assert load_series(path, told.append).stamps == [1381154460, 1381154520]
    assert told == [f"{path}: 3 bars come twice with the same values (first: line 3); one of each is used"]


def test_the_warning_goes_to_stderr_and_the_rest_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    market = load_market([str(written(tmp_path, HEADER + GOOD + GOOD))])
    assert market.symbols == ["ESZ13"]
    assert capsys.readouterr().err.count("\n") == 1


def test_a_gzip_that_is_none_inside_is_told(tmp_path: Path) -> None:
    path = tmp_path / "ESZ13_1m.csv.gz"
    path.write_bytes(b"\x1f\x8b" + (HEADER + GOOD).encode())
    with pytest.raises(DataError, match="cannot be read"):
        load_series(path, pytest.fail)


def test_bytes_that_are_no_text_are_told_by_line(tmp_path: Path) -> None:
    path = tmp_path / "ESZ13_1m.csv"
    path.write_bytes((HEADER + GOOD).encode() + b"2013-10-07T14:02:00Z,\xff\n")
    with pytest.raises(DataError, match=r"line 3: byte \d+ of the file is not UTF-8; save it as UTF-8"):
        load_series(path, pytest.fail)


# What exporters do differently and means the same

PLAIN = (HEADER + GOOD + NEXT).encode()
QUOTED = b"\n".join(b",".join(b'"%b"' % field for field in line.split(b",")) for line in PLAIN.splitlines())
OTHER_ORDER = b"""Volume,Close,VWAP,Open,High,Low,Time
1829,1672.25,1,1672.25,1672.5,1672,2013-10-07T14:01:00Z
2763.0,1671.25,1,1672.50,1672.5,1671.000,2013-10-07 10:02:00-04:00
"""


@pytest.mark.parametrize(
    "written_as",
    [
        b"\xef\xbb\xbf" + PLAIN,
        PLAIN.replace(b"\n", b"\r\n"),
        PLAIN.replace(b"\n", b"\r"),
        PLAIN.replace(b",", b", "),
        PLAIN.rstrip(),
        PLAIN + b"\n\r\n\n",
        QUOTED,
        OTHER_ORDER,
        gzip.compress(PLAIN),
    ],
    ids=["mark", "crlf", "cr", "blanks", "no last end", "empty lines", "quoted", "other columns", "gzip"],
)
@pytest.mark.parametrize("name", ["ESZ13_1m.csv", "ESZ13_1m.csv.gz"])
def test_a_file_as_others_write_it_holds_the_same_bars(tmp_path: Path, written_as: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(written_as)
    same = load_series(written(tmp_path, PLAIN.decode(), "ESZ13_1m.csv.gz.same"), pytest.fail, "ESZ13")
    assert load_series(path, pytest.fail).bars == same.bars


@pytest.mark.parametrize("price", ["0.0001", "0.00000001", "1234567.89", "9999999.99999999", "101.23456789012345"])
def test_any_price_a_market_has_is_served(tmp_path: Path, price: str) -> None:
    series = load_series(
        written(tmp_path, HEADER + f"2013-10-07T14:01:00Z,{price},{price},{price},{price},0\n", "PINK_1m.csv"),
        pytest.fail,
    )
    assert str(series.bars[0].close) == format(Decimal(price))


def test_a_file_of_any_name_is_given_with_its_symbol(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER + GOOD, "a=b.txt")
    assert load_market([f"BRK.B={path}", f"ESZ13={path}"]).symbols == ["BRK.B", "ESZ13"]
    with pytest.raises(DataError, match="no such file"):
        load_market([f"6EZ13={path}"])
    with pytest.raises(DataError, match="given twice for the same time"):
        load_market([f"ESZ13={path}", "ESZ13"])


@pytest.mark.parametrize("size", ["5m", "60m", "1s", "1d", "1D"])
def test_bars_of_another_length_are_refused_by_name(tmp_path: Path, size: str) -> None:
    with pytest.raises(DataError, match=f"bars of {size} are not played, only those of one minute"):
        load_series(written(tmp_path, HEADER + GOOD, f"SPY_{size}.csv.gz"), pytest.fail)


def test_longer_bars_under_the_name_of_minute_bars_are_warned_of(tmp_path: Path) -> None:
    lines = [f"2013-10-07T{14 + n // 12:02}:{n % 12 * 5:02}:00Z,1,1,1,1,1\n" for n in range(20)]
    told: list[str] = []
    load_series(written(tmp_path, HEADER + "".join(lines), "SPY_1m.csv"), told.append)
    (warning,) = told
    assert "no two of the 20 bars are less than 5 minutes apart" in warning


def test_files_of_one_symbol_that_follow_each_other_are_one_market(tmp_path: Path) -> None:
    (tmp_path / "later").mkdir()
    names = [str(written(tmp_path / "later", HEADER + NEXT)), str(written(tmp_path, HEADER + GOOD))]
    series = load_market(names).series("ESZ13")
    assert series is not None
    assert series.stamps == [1381154460, 1381154520]
    with pytest.raises(DataError, match="bars of ESZ13 were given twice for the same time"):
        load_market([*names, names[0]])


@pytest.mark.parametrize(
    ("symbol", "root", "expires", "tick"),
    [
        ("BRK.B", "", "", "0.01"),
        ("CLF24", "CL", "2023-12-20", "0.01"),
        ("TYZ13", "TY", "2013-12-20", "0.015625"),
        ("ECZ13", "EC", "2013-12-16", "0.00005"),
        ("CZ13", "C", "2013-12-13", "0.25"),
        ("NGF14", "NG", "2013-12-27", "0.001"),
    ],
)
def test_symbols_of_other_markets_are_known(tmp_path: Path, symbol: str, root: str, expires: str, tick: str) -> None:
    market = load_market([str(written(tmp_path, HEADER + GOOD, f"{symbol}_1m.csv.gz"))])
    assert market.symbols == [symbol]
    about = instrument(symbol)
    assert about is not None
    assert (about.root, about.expires, str(about.tick)) == (root, expires, tick)


@pytest.mark.parametrize("name", ["ESZ13.csv.gz", "XXZ13_1m.csv.gz", "BTCUSD_1m.csv.gz"])
def test_a_file_whose_name_is_no_symbol_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="the name must be"):
        load_series(written(tmp_path, HEADER + GOOD, name), pytest.fail)


def test_unknown_and_doubled_names_are_refused() -> None:
    with pytest.raises(DataError, match="not bundled"):
        load_market(["ESZ99"])
    with pytest.raises(DataError, match="given twice"):
        load_market(["SPY", "SPY"])
    with pytest.raises(DataError, match="no bars were named"):
        load_market([])


# Any file of the layout, quotes and ticks


PRICE = st.decimals(min_value="0.01", max_value="99999", places=2, allow_nan=False)


@st.composite
def any_bars(draw: st.DrawFn) -> list[Bar]:
    minutes = sorted(draw(st.sets(st.integers(0, 10_000_000), min_size=1, max_size=20)))
    bars = []
    for minute in minutes:
        prices = sorted(draw(st.tuples(PRICE, PRICE, PRICE, PRICE)))
        first, last = draw(st.permutations(prices[1:3]))
        bars.append(Bar(minute * 60 + 60, first, prices[3], prices[0], last, draw(st.integers(0, 10**9))))
    return bars


@given(bars=any_bars(), packed=st.booleans())
def test_any_bars_come_back_from_their_file(bars: list[Bar], packed: bool, tmp_path_factory: Any) -> None:
    lines = [f"{time_text(b.stamp_utc)},{b.open},{b.high},{b.low},{b.close},{b.volume}" for b in bars]
    text = (HEADER + "\n".join(lines) + "\n").encode()
    path = tmp_path_factory.mktemp("bars") / ("GCZ13_1m.csv.gz" if packed else "GCZ13_1m.csv")
    path.write_bytes(gzip.compress(text) if packed else text)
    market = load_market([str(path)])
    series = market.series("GCZ13")
    assert series is not None
    assert list(series.bars) == bars


QUOTE_HEADER = "time,bid_open,bid_high,bid_low,bid_close,bid_size,ask_open,ask_high,ask_low,ask_close,ask_size\n"
QUOTE = "2013-10-07T14:01:00Z,1672,1672,1672,1672.25,5,1672.25,1672.25,1672.25,,7\n"
TICKS = "time,price,size\n2013-10-07T14:00:01.250Z,1672,3\n2013-10-07T14:00:01.250Z,1673,1\n"
LATER = "2013-10-07T14:01:00Z,1671,2\n"


def test_a_file_of_quotes_joins_the_bars_of_its_symbol(tmp_path: Path) -> None:
    names = [
        str(written(tmp_path, HEADER + GOOD)),
        str(written(tmp_path, QUOTE_HEADER + QUOTE, "ESZ13_quote_1m.csv.gz")),
    ]
    series = load_market(names).series("ESZ13")
    assert series is not None
    assert series.quotes is not None
    quote = series.quotes.closes[0]
    assert (str(quote.bid), quote.bid_size, quote.ask, quote.ask_size) == ("1672.25", 5, None, 7)
    with pytest.raises(DataError, match="no bars or ticks"):
        load_market(names[1:])


@pytest.mark.parametrize(
    ("name", "text"), [("ESZ13_quote_1m.csv", QUOTE_HEADER + QUOTE), ("ESZ13_20131007_ticks.csv", TICKS)]
)
def test_quotes_and_ticks_that_were_given_twice_are_refused(tmp_path: Path, name: str, text: str) -> None:
    """Else one would win, or each trade count double."""
    bars = str(written(tmp_path, HEADER + GOOD))
    once, again = str(written(tmp_path, text, name)), str(written(tmp_path, text, f"{name}.gz"))
    assert load_market([bars, once]).symbols == ["ESZ13"]
    with pytest.raises(DataError, match=f"{name} was given twice: {once} and {again}"):
        load_market([bars, once, again])


def test_ticks_make_the_minutes_of_their_day(tmp_path: Path) -> None:
    ticks = str(written(tmp_path, TICKS + LATER, "ESZ13_20131007_ticks.csv.gz"))
    other_day = GOOD.replace("10-07", "10-08")
    bars = str(written(tmp_path, HEADER + GOOD + other_day))
    series = load_market([ticks, bars]).series("ESZ13")
    assert series is not None
    shown = [(bar.stamp_utc, str(bar.open), str(bar.high), str(bar.close), bar.volume) for bar in series.bars]
    assert shown[:2] == [(1381154460, "1672", "1673", "1673", 4), (1381154520, "1671", "1671", "1671", 2)]
    assert len(shown) == 3
    assert [str(print_.price) for print_ in (series.next_print(1381154401.0),) if print_] == ["1672"]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("ESZ13_quote_1m.csv.gz", QUOTE_HEADER + QUOTE + QUOTE, "line 3: the time 2013-10-07T14:01:00Z is earlier"),
        ("ESZ13_quote_1m.csv.gz", QUOTE_HEADER + "x\n", "11 fields are due, 1 are there"),
        ("ESZ13_20131007_ticks.csv.gz", TICKS + TICKS.splitlines()[1].replace("01.2", "00.2") + "\n", "is earlier"),
        ("ESZ13_20131007_ticks.csv.gz", "time,price,size\n", "no ticks"),
        ("ESZ13_20131007_ticks.csv.gz", "time,price,size\n2013-10-07T14:00:01,1,1\n", "the time must be"),
        ("ESZ13_20131007_ticks.csv.gz", "time,price,size\n2013-10-07T14:00:01Z,0,1\n", "a price is above 0"),
        ("6EZ13_20131007_ticks.csv.gz", TICKS, "no symbol"),
    ],
)
def test_broken_quotes_and_ticks_are_named(tmp_path: Path, name: str, text: str, says: str) -> None:
    with pytest.raises(DataError) as raised:
        load_market([str(written(tmp_path, HEADER + GOOD)), str(written(tmp_path, text, name))])
    assert says in str(raised.value)
