"""The unit files keep what they promise, the page about them says the same, and systemd itself accepts them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from feeds.config import Timing
from feeds.specs import books_spec, connection_spec, feed_spec
from supervisor.spec import ChildSpec
from tests.doc_finders import ROOT, doc, sections
from tests.trader.session_world import SESSION
from trader.app import EXIT_BAD_CONFIG
from trader.config import parse_config
from trader.specs import root_spec, session_spec

UNITS = ROOT / "scripts" / "systemd"
DESK, EMULATOR, COMMAND = "nightdesk.service", "nightdesk-emulator.service", "nightdesk"
PROMISED = {
    "Type": "notify",
    "NotifyAccess": "main",
    "Restart": "always",
    "RestartPreventExitStatus": str(EXIT_BAD_CONFIG),
    "StartLimitIntervalSec": "0",
    "WatchdogSec": "30",
    "KillMode": "mixed",
    "OOMPolicy": "continue",
    "User": "nightdesk",
    "StateDirectory": "nightdesk",
    "UMask": "0077",
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "WantedBy": "multi-user.target",
}
ADDRESSES = {"api_url": "http://127.0.0.1:1", "signin_url": "http://127.0.0.1:1"}
CONFIG = parse_config({"connections": {"sim": {**ADDRESSES, "client_id": "c", "login_file": "l"}}}, "test")


def directives(text: str) -> dict[str, str]:
    """``Key=value`` lines of a unit; a key that comes twice is an error of ours."""
    found = re.findall(r"^(\w+)=(.*)$", text, flags=re.MULTILINE)
    assert len(dict(found)) == len(found), found
    return dict(found)


def bare(text: str) -> list[str]:
    """Keys of the service that no comment explains: neither above, nor above their group (no empty line between)."""
    unexplained, explained = [], False
    for line in text.partition("[Service]\n")[2].partition("\n[Install]")[0].splitlines():
        key, equals, _ = line.partition("=")
        if line.startswith("#"):
            explained = True
        elif not line:
            explained = False
        elif equals and not explained:
            unexplained.append(key)
    return unexplained


def told(text: str) -> dict[str, str]:
    """The directives that a page shows in backticks."""
    return dict(re.findall(r"`([A-Z]\w+)=([^`]+)`", text))


def unit(name: str) -> str:
    return (UNITS / name).read_text("utf-8")


def seconds(span: str) -> float:
    number, word = re.fullmatch(r"(\d+)(min)?", span).groups()  # type: ignore[union-attr]
    return float(number) * (60 if word else 1)


def longest_end_s(spec: ChildSpec, below: dict[str, tuple[ChildSpec, ...]]) -> float:
    """One after the other; those of a dynamic supervisor all at once. ``below``: who comes by request."""
    if spec.type == "worker":
        return spec.shutdown_limit_s
    each_s = [longest_end_s(child, below) for child in (*spec.children, *below.get(spec.id, ()))]
    return min(spec.shutdown_limit_s, max(each_s) if spec.flags.dynamic else sum(each_s))


def desk_ends_s(accounts: int) -> float:
    """A desk with the default timing, one connection and so many accounts on it."""
    sim, timing = CONFIG.connections["sim"], Timing()
    books = tuple(books_spec(sim, timing, f"A{number}") for number in range(accounts))
    below = {
        "sessions": (session_spec(SESSION, CONFIG),) * 3,
        "connections": (connection_spec(sim, timing),),
        "feeds": (feed_spec(sim, timing, "orders/A"), feed_spec(sim, timing, "bars/ESZ13/60")),
        "sim": books,
    }
    return longest_end_s(root_spec(CONFIG), below)


def test_the_unit_has_what_was_promised() -> None:
    found = directives(unit(DESK))
    assert {key: found.get(key) for key in PROMISED} == PROMISED


def test_each_directive_of_the_service_has_its_reason() -> None:
    assert not bare(unit(DESK))
    assert bare("[Service]\n# why\nA=1\nB=2\n\nC=3\n\n[Install]\nD=4\n") == ["C"]


def test_the_page_tells_what_the_unit_has_and_nothing_else() -> None:
    page, found = told(sections(doc("operating.md"))["Under systemd"]), directives(unit(DESK))
    assert {key: found.get(key) for key in page} == page
    named = set(re.findall(r"`(\w+)`", sections(doc("operating.md"))["Under systemd"])) | set(page)
    assert set(PROMISED) - named - {"User"} == set()


def test_restarts_do_not_spin() -> None:
    assert 0.5 <= seconds(directives(unit(DESK))["RestartSec"]) <= 5.0


def test_the_longest_orderly_end_is_shorter_than_its_limit_and_is_told_right() -> None:
    limit_s = seconds(directives(unit(DESK))["TimeoutStopSec"])
    assert desk_ends_s(accounts=1) < desk_ends_s(accounts=3) < limit_s
    for text in (unit(DESK), doc("operating.md")):
        assert f"{desk_ends_s(accounts=1):g} s" in text
        assert re.search(rf"{desk_ends_s(accounts=2) - desk_ends_s(accounts=1):g} s\s+(# )?for\s+(# )?each", text)


def test_the_longest_start_is_shorter_than_its_limit() -> None:
    workers = [child for child in root_spec(CONFIG).children if child.type == "worker"]
    limit_s = seconds(directives(unit(DESK))["TimeoutStartSec"])
    assert sum(child.start_limit_s for child in workers) + 30.0 < limit_s, "30 s for the imports"


def test_unit_and_command_mean_the_same_program_and_home() -> None:
    program, home = re.fullmatch(r"(\S+) run --home (\S+)", directives(unit(DESK))["ExecStart"]).groups()  # type: ignore[union-attr]
    home = home.replace("%S", "/var/lib")
    assert f"sudo -u {PROMISED['User']} {program} --home {home} " in unit(COMMAND)
    assert directives(unit(EMULATOR))["ExecStart"].startswith(f"{program} emulator ")
    assert f"--home-dir {home} " in doc("operating.md")
    assert len(home) < 80, "its sockets must lie in it, not in a temporary folder that is private"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("name", [DESK, EMULATOR])
def test_systemd_accepts_the_unit(name: str, tmp_path: Path) -> None:
    """With the program that is here: where the unit expects it, it may not be installed."""
    for each in (DESK, EMULATOR):
        text = unit(each).replace("/opt/nightdesk/.venv/bin/nightdesk", str(Path(sys.executable).parent / "nightdesk"))
        (tmp_path / each).write_text(text)
    ran = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / name)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stderr.strip()) == (0, "")
