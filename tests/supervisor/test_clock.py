"""The civil clock: whatever its file or the wall clock do, it says what is wrong, and machine time does not notice."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from supervisor.process import clock
from supervisor.process.clock import BadClock, Clock, read_clock

ROOT = Path(__file__).resolve().parents[2]
HOUR_S = 3600.0


class Machine:
    """The machine's two clocks, as a person or NTP may set one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall_s, self.monotonic_s = 1_700_000_000.0, 500.0
        monkeypatch.setattr(time, "time", lambda: self.wall_s)
        monkeypatch.setattr(time, "monotonic", lambda: self.monotonic_s)

    def pass_s(self, seconds: float) -> None:
        self.wall_s += seconds
        self.monotonic_s += seconds


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def written(path: Path, **changes: Any) -> str:
    file = {"origin_utc": 1_381_154_400.0, "rate": 60.0, "anchor_wall_s": 1_700_000_000.0, "stopped_at_utc": None}
    path.write_text(json.dumps(file | changes))
    return str(path)


def test_a_stepped_wall_clock_moves_civil_time_alone(machine: Machine) -> None:
    civil = Clock("")
    began_s = time.monotonic()
    machine.wall_s -= 2 * HOUR_S
    machine.pass_s(1.0)
    assert civil.market_utc() == 1_700_000_001.0 - 2 * HOUR_S
    assert time.monotonic() - began_s == 1.0


def test_only_the_civil_clock_reads_the_wall_clock() -> None:
    """So no period, limit or lease of the desk can be moved by whoever sets the machine's time."""
    rooms = [path for room in ("supervisor", "feeds", "trader") for path in (ROOT / room).rglob("*.py")]
    readers = {str(path.relative_to(ROOT)) for path in rooms if "time.time()" in path.read_text()}
    assert readers == {"supervisor/process/clock.py"}


def test_a_stopped_market_stands_while_the_machine_goes_on(machine: Machine, tmp_path: Path) -> None:
    civil = Clock(written(tmp_path / "clock.json", stopped_at_utc=1_381_154_460.0))
    machine.pass_s(HOUR_S)
    assert civil.market_utc() == 1_381_154_460.0


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "truncated"),
        (b"\xff\xfe\x00", "clock.json"),
        (b"[]", "Expected `object`"),
        (b'{"origin_utc": "noon", "rate": 1, "anchor_wall_s": 0}', "origin_utc"),
        (b'{"origin_utc": 1, "rate": -60, "anchor_wall_s": 0}', "rate -60, wanted: above 0"),
        (b'{"origin_utc": 1, "rate": 0, "anchor_wall_s": 0}', "rate 0, wanted: above 0"),
        (b'{"origin_utc": 1e300, "rate": 1, "anchor_wall_s": 0}', "which is no date"),
        (b'{"origin_utc": 1, "rate": 60, "anchor_wall_s": 9e9}', "which is no date"),
    ],
)
def test_a_clock_file_that_tells_no_time_is_refused_by_name_and_value(
    tmp_path: Path, content: bytes, says: str
) -> None:
    path = tmp_path / "clock.json"
    path.write_bytes(content)
    with pytest.raises(BadClock) as bad:
        read_clock(str(path))
    assert says in str(bad.value)
    assert str(path) in str(bad.value)
    assert path.read_bytes() == content


def test_a_missing_clock_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BadClock, match="Is the emulator running"):
        Clock(str(tmp_path / "clock.json"))


@pytest.mark.parametrize("harm", ["garbage", "missing"])
def test_a_clock_file_that_breaks_later_leaves_the_time_and_is_told_once(
    machine: Machine, tmp_path: Path, harm: str
) -> None:
    path = tmp_path / "clock.json"
    civil = Clock(written(path))
    before_utc = civil.market_utc()
    path.unlink()
    if harm == "garbage":
        path.write_bytes(b"garbage")
    machine.pass_s(clock.REREAD_S)
    assert civil.market_utc() == before_utc + 60.0
    assert "The time goes on as it was last described" in civil.news()
    machine.pass_s(clock.REREAD_S)
    assert civil.news() == ""
    written(path)
    machine.pass_s(clock.REREAD_S)
    assert civil.news() == "the clock is read again"
