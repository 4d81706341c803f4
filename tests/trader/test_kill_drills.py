"""kill -9 of real processes inside windows that the emulator holds open; the oracle is the emulator's book."""

from __future__ import annotations

from pathlib import Path

from scripts.kill_drills import WINDOWS, drawn, play

KILLING_S = 40.0


def test_whoever_dies_in_the_window_of_an_answer_nothing_is_lost_doubled_or_left_in_doubt(tmp_path: Path) -> None:
    """`scripts/bench drills` does the same for as long as one likes."""
    result = play(tmp_path, drawn(seed=1), KILLING_S)
    assert not result.problems, (result.problems, result.kills, result.missed)
    assert sum(result.kills.values()) >= len(WINDOWS) // 3, (result.kills, result.missed)
    assert result.intents > 3
