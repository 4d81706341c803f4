"""Reading bar files: the bundled ones are whole; broken ones are named by file, line and value."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from brokers.tradestation.emulator.errors import DataError
from brokers.tradestation.emulator.load import bundled_symbols, load_market, load_series

HEADER = "time,open,high,low,close,volume\n"
GOOD = "2013-10-07T14:01:00Z,1672.25,1672.5,1672,1672.25,1829\n"
NEXT = "2013-10-07T14:02:00Z,1672.5,1672.5,1671,1671.25,2763\n"


def written(folder: Path, text: str, name: str = "ESZ13_1m.csv.gz") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()))
    return path


def test_the_bundled_bars_are_whole() -> None:
    assert bundled_symbols() == ["ESZ13", "SPY"]
    market = load_market(bundled_symbols())
    counts = {symbol: len(one.bars) for symbol in market.symbols if (one := market.series(symbol))}
    assert counts == {"ESZ13": 12600, "SPY": 4839}


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
        (HEADER + GOOD + "\n" + NEXT, "line 3: 6 fields are due, 1 are there"),
        (HEADER + GOOD.replace("1672,", "nought,"), "line 2: not a price: 'nought'"),
        (HEADER + GOOD.replace("1672,", "NaN,"), "line 2: not a finite price"),
        (HEADER + GOOD.replace("1672.5", "1"), "line 2: low, open, close and high contradict"),
        (HEADER + GOOD.replace("1829", "-1"), "line 2: volume must be"),
        (HEADER + GOOD.replace("14:01:00Z", "14:01:30Z"), "line 2: a minute bar ends on a full minute"),
        (HEADER + GOOD.replace("T14", " 14"), "line 2: the time must be"),
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


def test_what_is_no_gzip_is_told(tmp_path: Path) -> None:
    path = tmp_path / "ESZ13_1m.csv.gz"
    path.write_text(HEADER + GOOD)
    with pytest.raises(DataError, match="cannot be read"):
        load_series(path, pytest.fail)


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
