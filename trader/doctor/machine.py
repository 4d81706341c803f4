"""The checks of this machine and of the desk's own files. EDGE: reads, and changes nothing."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterable
from pathlib import Path

from supervisor.control.client import Client
from supervisor.errors import CallFailed
from supervisor.messages import ReadTree
from supervisor.runtime.home import owner_of
from trader.config import CONFIG_FILE, BadConfig, DeskConfig, read_config
from trader.doctor import findings
from trader.doctor.findings import Finding

UNIT_FOLDERS = tuple(map(Path, ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system")))
STATE = "/var/lib"
"""%S in a unit of the system."""
ASK_LIMIT_S = 5.0
"""The supervising process answers in milliseconds."""
PAGE = "docs/operating.md, Under systemd"


def configuration(home: Path) -> tuple[Finding, DeskConfig | None]:
    try:
        config = read_config(home)
    except BadConfig as error:
        return Finding("configuration", "error", str(error), f"$EDITOR {home / CONFIG_FILE}"), None
    names = ", ".join(f"{each.name} ({each.environment})" for each in config.connections.values())
    return Finding("configuration", "ok", f"{CONFIG_FILE}: {names}"), config


def home_modes(home: Path) -> list[Finding]:
    """Whoever can write here commands the desk; whoever can read here sees what it trades."""
    found: list[Finding] = []
    for path in (home, home / CONFIG_FILE, home / "desk.db"):
        if not path.exists():
            continue
        about = path.stat()
        mode = about.st_mode & 0o777
        fix = f"chmod go-{'rwx' if path is home else 'w'} {path}"
        if about.st_uid != os.geteuid():
            text = f"{path} belongs to uid {about.st_uid}, you are {os.geteuid()}"
            found.append(Finding("home", "warning", text, "run this as the desk's user"))
        if mode & 0o022:
            found.append(Finding("home", "error", f"others may write {path} ({mode:04o})", fix))
        elif mode & 0o055 and path is home:
            found.append(Finding("home", "warning", f"others may look into {path} ({mode:04o})", fix))
    return found or [Finding("home", "ok", f"{home}, yours alone")]


def desk(home: Path) -> tuple[Finding, int]:
    """Whether one runs, and its pid (0: none)."""
    try:
        with Client(str(home)) as client:
            tree = client.call(ReadTree(under="", deaths=1), timeout_s=ASK_LIMIT_S)
    except CallFailed as error:
        if pid := owner_of(str(home)):
            text = f"runs (pid {pid}) but does not answer: {error}"
            return Finding("desk", "error", text, f"nightdesk status; {home / 'logs' / 'nightdesk.log'}"), pid
        return Finding("desk", "skipped", "not running", f"nightdesk --home {home} run"), 0
    bad = [child for child in tree.children if child.state.startswith("held") or child.state == "waiting"]
    if bad:
        text = f"runs (pid {tree.pid}); {bad[0].name} is {bad[0].state}"
        return Finding("desk", "warning", text, "nightdesk status"), tree.pid
    return Finding("desk", "ok", f"runs (pid {tree.pid}), {len(tree.children)} processes and groups"), tree.pid


def limits(home: Path, pid: int) -> list[Finding]:
    return [_files(pid), findings.disk(shutil.disk_usage(home).free, str(home))]


def _files(pid: int) -> Finding:
    """Of the supervising process if there is one: a shell's own limit says nothing about what systemd gave the desk."""
    try:
        for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if pid else ():
            if line.startswith("Max open files"):
                return findings.files(int(line.split()[3]), "the running desk")
    except (OSError, ValueError):
        pid = 0  # it has just ended, or has no limit: this shell's is what a desk started here would have
    return findings.files(resource.getrlimit(resource.RLIMIT_NOFILE)[0], "what is started from here")


def systemd(home: Path, folders: Iterable[Path] = UNIT_FOLDERS) -> Finding:
    """A unit that runs this home, and whether it starts at boot."""
    kept = list(folders)
    for file in (file for folder in kept for file in sorted(folder.glob("*.service"))):
        if not _runs(file, home):
            continue
        wanted = any(link.name == file.name for folder in kept for link in folder.glob("*.wants/*"))
        if wanted:
            return Finding("systemd", "ok", f"{file.name} runs this home, at boot too")
        return Finding("systemd", "warning", f"{file.name} is not started at boot", f"systemctl enable {file.stem}")
    return Finding("systemd", "warning", "no unit runs this home: after a reboot nothing comes back", PAGE)


def _runs(file: Path, home: Path) -> bool:
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    return any(
        line.startswith("ExecStart=") and "nightdesk" in line and str(home) in line.replace("%S", STATE).split()
        for line in lines
    )
