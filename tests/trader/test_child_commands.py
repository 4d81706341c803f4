"""`nightdesk child ...` and `nightdesk tree` on a tree of real processes, and the tree's words without any."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from supervisor.messages import ChildInfo, Death, Tree
from tests.supervisor.test_processes import LIMIT_S, ROOT, Desk
from trader.cli.main import main
from trader.view import changes, facts, tree_lines, tree_row

COUNTER = '{"id": "new", "start": "tests.supervisor.toys:Counter", "restart": "transient"}'


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(tmp_path_factory.mktemp("desk") / "home")
    yield made
    made.client.close()
    made.process.terminate()
    assert made.process.wait(LIMIT_S) == 0
    assert made.process.stderr is not None
    made.process.stderr.close()


def run(desk: Desk, *arguments: str, text: str = "") -> Result:
    return CliRunner().invoke(main, ["--home", str(desk.home), *arguments], input=text)


def rows(result: Result) -> list[list[str]]:
    assert result.exit_code == 0, result.output
    return [line.split("\t") for line in result.stdout.splitlines()]


# -- OTP's functions ---------------------------------------------------------------------------------------------------


def test_list_and_count_tell_of_one_supervisor(desk: Desk) -> None:
    assert [row[0] for row in rows(run(desk, "child", "list"))][:2] == ["control", "all"]
    first = rows(run(desk, "child", "list", "all"))[0]
    assert first[:3] == ["a", "running", "worker"]
    assert first[-1] == "all/a"
    assert ["active", "3"] in rows(run(desk, "child", "count", "all"))
    told = json.loads(run(desk, "child", "count", "all", "--json").stdout)
    assert (told["schema"], told["specs"], told["workers"]) == (1, 3, 3)


def test_a_child_is_started_ended_started_again_and_forgotten(desk: Desk) -> None:
    for arguments in (
        ("start", "-", "--under", "one"),
        ("start", "-", "--under", "one", "--ensure"),
        ("terminate", "one/new"),
        ("restart", "one/new"),
        ("terminate", "one/new"),
        ("delete", "one/new"),
    ):
        result = run(desk, "child", *arguments, text=COUNTER)
        assert result.exit_code == 0, result.output
        assert "one/new" in result.stderr
        assert result.stdout == ""
    assert desk.state("one/new") == "gone"


def test_what_spec_prints_is_what_start_takes(desk: Desk, tmp_path: Path) -> None:
    shown = run(desk, "child", "spec", "one/permanent")
    spec = json.loads(shown.stdout)
    spec["id"] = "twin"
    (tmp_path / "twin.json").write_text(json.dumps(spec))
    started = run(desk, "child", "start", str(tmp_path / "twin.json"), "--under", "spare", "--json")
    assert json.loads(started.stdout)["name"] == "spare/twin"
    assert json.loads(run(desk, "child", "spec", "spare/twin", "--json").stdout)["spec"] == spec
    assert run(desk, "child", "terminate", "spare/twin").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "text", "code", "words"),
    [
        (("list", "nowhere"), "", 4, "not_found: no supervisor is called 'nowhere'"),
        (("spec", "nobody"), "", 4, "not_found: no child is called 'nobody'"),
        (("delete", "one/permanent"), "", 1, "running: one/permanent is up; terminate_child it first"),
        (("restart", "one/permanent"), "", 1, "running: one/permanent"),
        (("start", "-", "--under", "one"), COUNTER.replace("new", "permanent"), 1, "already_started: one/permanent"),
        (("start", "-", "--under", "spare"), COUNTER.replace("tests.", "no."), 1, "failed: "),
        (("start", "-"), COUNTER.replace("transient", "sometimes"), 2, "bad_spec: "),
        (("start", "-"), COUNTER.replace("Counter", "?"), 2, "bad_spec: child spec 'new': start is"),
        (("start", "-"), "{", 2, "bad_spec: "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_refusal_is_a_message_and_an_exit_code(
    desk: Desk, arguments: tuple[str, ...], text: str, code: int, words: str
) -> None:
    result = run(desk, "child", *arguments, text=text)
    assert (result.exit_code, result.stdout) == (code, "")
    assert words in result.stderr


def test_without_a_desk_the_code_is_3(tmp_path: Path) -> None:
    for arguments in (["child", "list"], ["tree"], ["tree", "--watch"]):
        assert CliRunner().invoke(main, ["--home", str(tmp_path), *arguments]).exit_code == 3


# -- the tree ----------------------------------------------------------------------------------------------------------


def test_tree_below_a_name_that_is_nobody_s_is_told_so(desk: Desk) -> None:
    assert run(desk, "tree", "all").exit_code == 0
    assert run(desk, "tree", "nowhere").exit_code == 4


def test_a_death_is_shown_as_it_happens_with_its_reason_peak_age_and_budget(desk: Desk) -> None:
    command = [
        sys.executable,
        "-u",
        "-m",
        "trader.cli",
        "--home",
        str(desk.home),
        "tree",
        "one",
        "-w",
        "--every",
        "0.1",
    ]
    # Where the tests run in a shell's background they ignore Ctrl-C, and what they start would too.
    heeds = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    watching = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, preexec_fn=heeds)
    assert watching.stdout is not None
    lines: queue.Queue[list[str]] = queue.Queue()
    stdout = watching.stdout
    reader = threading.Thread(target=lambda: [lines.put(line.rstrip("\n").split("\t")[1:]) for line in stdout])
    reader.start()
    try:
        assert lines.get(timeout=LIMIT_S)[:2] == ["one", "up"]
        before = desk.pid("one/permanent")
        os.kill(before, signal.SIGKILL)
        while (row := lines.get(timeout=LIMIT_S))[:2] != ["one/permanent", "died"]:
            pass
        assert row[2].startswith("abnormal: killed by SIGKILL (alive ")
        assert "restarts left" in row[2]
        while lines.get(timeout=LIMIT_S)[:2] != ["one/permanent", "up"]:
            pass
    finally:
        watching.send_signal(signal.SIGINT)
        assert watching.wait(LIMIT_S) == 130
        reader.join()
        stdout.close()


DEATH = Death(7, "abnormal", "killed by SIGKILL", 90.0, 3.2, peak_mib=31.0, budget_left=2)
HELD = ChildInfo(
    "s/trader", "worker", "held, waiting", incarnation=7, restarts=5, since_s=91.0, why="killed by SIGKILL",
    next_try_s=104.0, deaths=(DEATH,),
)  # fmt: skip
GROUP = ChildInfo("s", "supervisor", "up", strategy="one_for_all", since_s=10.0, budget_left=2, restarts=1)


def test_a_held_child_is_shown_with_its_next_try_and_its_last_ends() -> None:
    lines = tree_lines(Tree(100.0, 1, (GROUP, HELD)), deaths=3)
    assert "2 restarts left" in lines[0]
    assert "held, waiting" in lines[1]
    assert "next try in 4.0s" in lines[1]
    assert lines[2].strip() == ("† abnormal: killed by SIGKILL (alive 3.2s, peak 31 MiB, 2 restarts left), 10.0s ago")
    assert tree_row(HELD, 100.0).split("\t")[-2:] == ["4.0", "killed by SIGKILL"]


@pytest.mark.parametrize(
    ("alive_for_s", "fresh_for_s", "told"),
    [
        (8.0, None, []),
        (0.4, None, ["silent, hung in 0.4s"]),
        (-0.1, None, ["hung"]),
        (8.0, 12.0, ["fresh for 12.0s"]),
        (8.0, -61.0, ["stale since 1m01s"]),
    ],
)
def test_the_facts_beside_the_state_have_words(alive_for_s: float, fresh_for_s: float | None, told: list[str]) -> None:
    child = ChildInfo("a", "worker", "up", pid=5, alive_for_s=alive_for_s, fresh_for_s=fresh_for_s)
    assert facts(child, 100.0) == told


def test_what_changed_between_two_looks_is_told_and_nothing_else() -> None:
    up = ChildInfo("s/trader", "worker", "up", pid=5, incarnation=6)
    before, after = Tree(100.0, 1, (GROUP, up)), Tree(101.0, 1, (GROUP, HELD))
    assert changes(before, before) == []
    died, held = changes(before, after)
    assert died.startswith("s/trader\tdied\tabnormal: killed by SIGKILL (alive 3.2s")
    assert held == "s/trader\theld, waiting\tnext try in 3.0s"
    assert changes(after, Tree(102.0, 1, (GROUP,))) == ["s/trader\tgone\t"]
