"""A strategy's code: found, checked for syntax, stored, never imported outside the trader."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from trader.hosting.code import BadStrategy, find_code

GOOD = "raise SystemExit('imported!')\nclass Mine(Strategy):\n    pass\n"


def write(folder: Path, text: str) -> str:
    path = folder / "mine.py"
    path.write_text(text)
    return str(path)


def test_file_is_read_and_never_imported(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    code, class_name = find_code(path)
    assert (code.source, code.filename, class_name) == (GOOD, path, "Mine")
    assert code.sha256 == hashlib.sha256(GOOD.encode()).hexdigest()


def test_bundled_strategy_goes_by_its_short_name() -> None:
    code, class_name = find_code("breakout")
    assert class_name == "Breakout"
    assert code.filename.endswith("trader/strategies/breakout.py")
    assert "trader.strategies.breakout" not in sys.modules or "class Breakout" in code.source


def test_class_can_be_named_where_there_are_several(tmp_path: Path) -> None:
    path = write(tmp_path, "class A(Strategy): pass\nclass B(Strategy): pass\n")
    assert find_code(f"{path}:B")[1] == "B"
    with pytest.raises(BadStrategy, match="found A, B; add :Class"):
        find_code(path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("class X(", r"mine\.py:1: .*Nothing was stored"),
        ("x = 1\n", "found none"),
        ("class A(Other): pass\n", "found none"),
    ],
)
def test_what_is_no_strategy_is_refused_with_its_place(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(BadStrategy, match=complaint):
        find_code(write(tmp_path, text))


def test_missing_file_and_unknown_name_are_refused() -> None:
    with pytest.raises(BadStrategy, match=r"/no/such\.py cannot be read"):
        find_code("/no/such.py")
    with pytest.raises(BadStrategy, match="no bundled strategy and no module"):
        find_code("no_such_strategy_anywhere")


def test_file_of_another_coding_or_of_absurd_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes.py").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadStrategy, match="cannot be read"):
        find_code(str(tmp_path / "bytes.py"))
    with pytest.raises(BadStrategy, match="limit 1048576"):
        find_code(write(tmp_path, "#" * 1_048_577))
