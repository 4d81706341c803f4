"""The demo's two processes and its home: started, reached, killed, and never left behind."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from supervisor.control.client import Client
from supervisor.errors import CallFailed
from supervisor.messages import Tree
from trader.demo.script import Stand
from trader.desk.commands import AddSession, StartSession
from trader.hosting.code import new_session

START_LIMIT_S = 20.0
STOP_LIMIT_S = 25.0
ASK_LIMIT_S = 5.0
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)

CONFIG = """\
# Written by `nightdesk demo`: machine periods are shorter than a real desk's, because the market runs {rate:g}x.
[desk]
clock = "emulator/clock.json"

[connections.sim]
api_url = "{url}"
signin_url = "{url}"
client_id = "demo-client"
login_file = "login.json"
quotas = "off"

[timing]
still_needed_every_s = 2.0
lease_valid_s = 8.0
prune_every_s = 4.0
listen_after_crash_s = 8.0
snapshot_every_s = 2.0
confirm_after_s = 0.5
agreed_max_age_s = 10.0
heartbeat_s = 1.0
connect_limit_s = 4.0
http_limit_s = 4.0
settle_s = 2.0
on_its_way_s = 8.0
ensure_every_s = 1.0
"""
LOGIN = '{"client_secret": "demo-secret", "refresh_token": "demo-refresh"}'


class Failed(Exception):
    """The demo's own machinery did not come up; the message says what and where its output is."""


class Alarm:
    """Handler of SIGINT and SIGTERM. It also remembers: raised inside a library's callback the interrupt can get lost
    (seen: a demo that went on after Ctrl-C), and the next look at the tree raises it again."""

    rung = False

    def __call__(self, number: int, frame: object) -> None:
        self.rung = True
        raise KeyboardInterrupt

    def check(self) -> None:
        if self.rung:
            raise KeyboardInterrupt


class Stage:
    """``home`` None: a scratch home, removed at the end. ``emulator_words``: what its emulator is told besides."""

    emulator_words: tuple[str, ...] = ()

    def __init__(self, home: Path | None, rate: float, alarm: Alarm | None = None) -> None:
        self._alarm = alarm or Alarm()
        self.scratch = home is None
        self.home = home or Path(tempfile.mkdtemp(prefix="nightdesk-demo-"))
        self.rate = rate
        self.url = ""
        self._emulator: subprocess.Popen[bytes] | None = None
        self._desk: subprocess.Popen[bytes] | None = None
        self.client = Client(str(self.home))

    # -- coming and going ---------------------------------------------------------------------------

    def start_emulator(self) -> None:
        (self.home / "emulator").mkdir(parents=True, exist_ok=True, mode=0o700)
        # Its machine periods are a fifteenth of a real desk's: it asks more often than the venue lets anybody, so
        # neither the venue nor the desk counts (seen where only one did: after 80 s a snapshot came each 10 s, not 2).
        command = ["emulator", "--port", "0", "--rate", f"{self.rate:g}", "--heartbeat", "1", "--book", self._book()]
        command += ["--switch", "quota=off", *self.emulator_words]
        self._emulator = self._spawn("trader.cli", command, "emulator/output.log")
        self.url = self._until(self._listening, self._emulator, "the emulator does not listen", "emulator/output.log")
        (self.home / "nightdesk.toml").write_text(CONFIG.format(rate=self.rate, url=self.url))
        login = self.home / "login.json"
        login.touch(mode=0o600)
        login.write_text(LOGIN)

    def start_desk(self) -> None:
        self._desk = self._spawn("trader.app", [str(self.home)], "run.log")
        what = "the desk does not answer on its control socket, or its recorder is not up"
        self._until(self._records, self._desk, what, "run.log")

    def kill_desk(self) -> None:
        """kill -9, and wait until it is reaped; its children die by themselves."""
        assert self._desk is not None
        self._desk.kill()
        self._desk.wait()

    def close_desk(self) -> None:
        """As an operator does it: SIGTERM, and wait."""
        _end(self._desk)

    def close(self) -> None:
        """End both, in an orderly way first; whatever happens, nothing is left."""
        _end(self._desk)
        _end(self._emulator)
        self.client.close()

    def remove(self) -> None:
        """The scratch home; one that was given is left for reading."""
        if self.scratch:
            shutil.rmtree(self.home, ignore_errors=True)

    # -- reaching them ------------------------------------------------------------------------------

    def tree(self) -> Tree:
        """The tree; an empty one while nobody answers."""
        self._alarm.check()
        try:
            return self.client.tree()
        except CallFailed:
            return Tree(now_s=time.monotonic(), pid=0, children=())

    def kill(self, name: str) -> bool:
        """kill -9 the process of that name; False if it is not there just now."""
        for child in self.tree().children:
            if child.name == name and child.pid:
                os.kill(child.pid, signal.SIGKILL)
                return True
        return False

    def trade(self, stand: Stand) -> None:
        """Its session is added and started."""
        session, code = new_session(
            stand.name, stand.strategy, account=stand.account, symbols=(stand.symbol,), connection="sim"
        )
        self.client.call(AddSession(session=session, code=code))
        self.client.call(StartSession(name=stand.name, code=code))

    def ask_emulator(self, path: str, **query: Any) -> Any:
        return self._answer(requests.get(f"{self.url}/emulator/{path}", params=query, timeout=ASK_LIMIT_S))

    def tell_emulator(self, path: str, /, **body: Any) -> Any:
        return self._answer(requests.post(f"{self.url}/emulator/{path}", json=body, timeout=ASK_LIMIT_S))

    # -- how ------------------------------------------------------------------------------------------

    def _book(self) -> str:
        return str(self.home / "emulator" / "book.jsonl")

    def _spawn(self, module: str, arguments: list[str], output: str) -> subprocess.Popen[bytes]:
        """Outside our process group, so that Ctrl-C reaches us alone; and it dies when we do."""
        with (self.home / output).open("ab") as out:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    def _records(self) -> bool:
        """Control answers from the first moment on; the recorder, which adds and starts sessions, comes after it."""
        return any(child.name == "recorder" and child.state.endswith("up") for child in self.tree().children)

    def _listening(self) -> str:
        for line in (self.home / "emulator" / "output.log").read_text(errors="replace").splitlines():
            _, found, url = line.partition("emulator listening on ")
            if found:
                return url.strip()
        return ""

    def _until(self, ready: Callable[[], Any], process: subprocess.Popen[bytes], what: str, output: str) -> Any:
        until_s = time.monotonic() + START_LIMIT_S
        while time.monotonic() < until_s and process.poll() is None:
            if result := ready():
                return result
            time.sleep(0.05)
        ended = "" if process.returncode is None else f" (it ended with {process.returncode})"
        tail = (self.home / output).read_text(errors="replace")[-800:]
        raise Failed(f"{what} within {START_LIMIT_S:g} s{ended}. Its last words:\n{tail}")

    @staticmethod
    def _answer(reply: requests.Response) -> Any:
        if reply.status_code != 200:
            raise Failed(f"the emulator answers {reply.status_code}: {reply.text[:300]}")
        return reply.json()


def _end(process: subprocess.Popen[bytes] | None) -> None:
    if process is None or process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _die_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
