"""The market clock and its file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from brokers.tradestation.emulator.clock import Clock, ClockFile
from brokers.tradestation.emulator.errors import ClockError


def test_market_time_runs_at_its_rate_and_back() -> None:
    clock = Clock(origin_utc=1000.0, rate=60.0, anchor_wall_s=50.0)
    assert clock.market_utc(51.0) == 1060.0
    assert clock.wall_s(1060.0) == 51.0


def test_a_stopped_clock_stands_and_is_never_due() -> None:
    clock = Clock(1000.0, 60.0, 50.0, stopped_at_utc=1030.0)
    assert clock.market_utc(99.0) == 1030.0
    assert clock.wall_s(1031.0) is None


def test_the_file_is_kept_whatever_is_asked_for_later(tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    ClockFile(path, 1000.0, 60.0, 50.0)
    assert ClockFile(path, 2000.0, 1.0, 99.0).clock == Clock(1000.0, 60.0, 50.0)
    assert json.loads(path.read_text()) == {
        "origin_utc": 1000.0,
        "rate": 60.0,
        "anchor_wall_s": 50.0,
        "stopped_at_utc": None,
    }


def test_a_stop_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    file = ClockFile(path, 1000.0, 60.0, 50.0)
    file.stop(1060.0)
    file.stop(1090.0)
    assert ClockFile(path, 0.0, 1.0, 0.0).clock.stopped_at_utc == 1060.0


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), 1e9])
def test_a_rate_out_of_bounds_is_refused_and_nothing_written(tmp_path: Path, rate: float) -> None:
    with pytest.raises(ClockError, match="rate must be above 0"):
        ClockFile(tmp_path / "clock.json", 0.0, rate, 0.0)
    assert not (tmp_path / "clock.json").exists()


@pytest.mark.parametrize("text", ["", "{}", '{"origin_utc":1,"rate":"fast","anchor_wall_s":0}', "garbage"])
def test_a_broken_file_is_named_and_left(tmp_path: Path, text: str) -> None:
    path = tmp_path / "clock.json"
    path.write_text(text)
    with pytest.raises(ClockError, match=r"clock\.json: not a market clock"):
        ClockFile(path, 0.0, 1.0, 0.0)
    assert path.read_text() == text
