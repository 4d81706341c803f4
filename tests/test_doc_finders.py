"""The finders of test_docs find: each is shown a sample that it must report."""

import re
from pathlib import Path

from tests.doc_finders import (
    blocks,
    broken_links,
    documented_kinds,
    event_kinds,
    missing_tests,
    undocumented_commands,
    unmatched,
    unnamed,
    wrong_defaults,
)


def test_a_name_that_is_not_in_backticks_is_reported() -> None:
    assert unnamed(["Turn", "Rows", "Row"], "`Turn` → `Row`, and Rows") == ["Rows"]


def test_a_command_without_section_and_an_option_without_mention_are_reported() -> None:
    text = "### `nightdesk run`\n`--home`\n### `nightdesk logs [NAME]`\n`-n 5` lines\n"
    options = {"nightdesk run": ["--home"], "nightdesk logs": ["-n", "--lines"], "nightdesk halt": []}
    assert undocumented_commands(options, text) == ["nightdesk logs --lines", "nightdesk halt: no section"]


def test_a_default_that_differs_or_is_missing_is_reported() -> None:
    text = "| key | default |\n|---|---|\n| `a_s` | 15 |\n| `b_s` | 2 |\n"
    assert wrong_defaults({"a_s": 15.0, "b_s": 3.0, "c_s": 1.0}, text) == ["b_s: 2", "c_s: None"]


def test_the_kinds_of_events_are_found_in_their_forms() -> None:
    source = """
def emit(world, account, now, why, kind):
    world.event("feed.end", "DIGEST", "text")
    account.event(now, f"hold.{why}", "PAGE", "text")
    world.event(kind, "DIGEST", "text")
    end(_crash(kind, f"{why} in words"))
    work.act(Record("child.held", level, path, "text"))
    kind = "child.died" if why else "child.ended"
"""
    kinds = event_kinds(source)
    assert unmatched(kinds, {"feed.end", "hold.found", "child.held", "child.died"}) == [re.escape("child.ended")]
    assert len(kinds) == 5


def test_documented_kinds_are_those_of_the_first_cells() -> None:
    assert documented_kinds("| `a.b`, `c` | `d.e` |\n") == {"a.b", "c"}


def test_a_link_to_nowhere_is_reported(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# What is there\n")
    text = "[a](there.md) [b](there.md#what-is-there) [c](there.md#not) [d](gone.md) [e](https://example.org)"
    assert len(broken_links(tmp_path / "page.md", text)) == 2


def test_a_marked_block_is_found_by_its_name() -> None:
    text = "<!-- file: a.py -->\n```python\nx = 1\n```\n```python\ny = 2\n```\n"
    assert blocks(text, "file") == {"a.py": "x = 1\n"}


def test_a_test_that_is_named_and_not_there_is_reported() -> None:
    text = "| rule | `x.py` (`f`) | `test_orders`: a fill on ACK, FLL twice; `test_target.py`: never |\n`test_x`: no"
    there = {"test_orders": ["what_a_fill_on_ack_means"], "test_target": ["it_never_crosses_zero"]}
    assert missing_tests(text, there) == ["test_orders: FLL twice"]
