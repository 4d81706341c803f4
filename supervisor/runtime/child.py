"""A child's half of the fork: from a copy of the supervisor to a process of its own, then its server until the end.

The sequence is the one that was measured to work; each step says which trap it closes.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import socket
import sys
import traceback
from _signal import pthread_sigmask
from array import array
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import setproctitle

from supervisor.errors import BadSpec, EndsInWords
from supervisor.messages import ChildSpec, Ignore, LastException, Predecessor
from supervisor.process.clock import wall_utc
from supervisor.process.logs import FieldLog, plain_line, switch_log
from supervisor.process.server import IgnoreStart, Server
from supervisor.runtime.body import Child
from supervisor.runtime.ceiling import limit_bursts
from supervisor.runtime.line import Line
from supervisor.runtime.mark import mark_self
from supervisor.runtime.page import Page
from supervisor.runtime.pulse import Pulse
from supervisor.runtime.settings import Settings

PR_SET_PDEATHSIG = 1
FIRST_HIGH_FD = 1024
"""Below it are a process's own descriptors, from it on what a supervisor holds of its children."""
CRASHED = 1
LAST_WORDS_MAX = 500
"""Characters of an exception that go to the supervisor; the log has it whole."""

_libc = ctypes.CDLL(None, use_errno=True)


class Birth(msgspec.Struct, frozen=True):
    """All that a child is given at its start."""

    name: str
    incarnation: int
    parent_pid: int
    spec: ChildSpec
    settings: Settings
    predecessor: Predecessor | None


def live(birth: Birth, sock: socket.socket, page: Page, slot: int, others: array[int]) -> None:
    """The whole life of a child; does not return. Runs in the forked process with all signals blocked."""
    status = CRASHED
    try:
        log = become_child(birth, sock)
        line = Line(sock, after_ready=lambda: close_each(others))
        status = serve(birth, line, Pulse(page, slot, birth.spec.liveness_limit_s), log)
    finally:
        # Not sys.exit: nothing of the supervisor's (its finally blocks, its atexit) may run in a child.
        with suppress(OSError):  # a full disk keeps what was printed, never the process
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def become_child(birth: Birth, sock: socket.socket) -> FieldLog:
    die_with_parent(birth.parent_pid)
    gc.freeze()  # what was inherited is not ours to collect: looking at it would copy every page of it
    signal.set_wakeup_fd(-1)  # else our signals would write into the supervisor's pipe
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.setsid()  # Ctrl-C reaches the whole foreground group; we are ended by the supervisor alone
    path = birth.settings.log_file(birth.name)
    log = switch_log(path)
    redirect_stdio(path)
    with suppress(OSError):  # a full disk is no reason not to start
        os.write(1, plain_line(birth.settings, wall_utc(), "starts", incarnation=birth.incarnation, pid=os.getpid()))
    close_all_but(sock.fileno())
    setproctitle.setproctitle(f"{birth.settings.title}: {birth.name}")
    mark_self(birth.settings.home, birth.name, birth.incarnation)
    limit_bursts(birth.spec.memory_max_mib)
    pthread_sigmask(signal.SIG_SETMASK, ())
    return log


def die_with_parent(parent_pid: int) -> None:
    """SIGKILL when the forking thread ends. It may be dead already, so look."""
    if _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent_pid:
        os._exit(CRASHED)


def redirect_stdio(path: str) -> None:
    """What is printed, and what the interpreter says in its last moment, lands in the process's own log."""
    null = os.open(os.devnull, os.O_RDONLY)
    out = open_appending(path)
    os.dup2(null, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.close(null)
    os.close(out)


def open_appending(path: str) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.open(path, flags, 0o600)


def close_all_but(kept: int) -> None:
    """The supervisor's epoll, lock and files. Their Python objects stay referenced by the frames below us, which never
    return, so none of them is collected and closes a number that we use again."""
    os.closerange(3, kept)
    os.closerange(kept + 1, FIRST_HIGH_FD)


def close_each(others: array[int]) -> None:
    """What the supervisor holds of our siblings, number by number: what lies between may be ours."""
    for fd in others:
        if fd >= FIRST_HIGH_FD:
            os.close(fd)


def serve(birth: Birth, line: Line, pulse: Pulse, log: FieldLog) -> int:
    """Run the child's code; the exit status. An exception is its death, told to the supervisor and the log."""
    try:
        code = resolve(birth.spec.start)
        if isinstance(code, type) and issubclass(code, Server):
            serve_server(birth, code, line, pulse, log)
        else:
            child = Child(birth.name, birth.incarnation, birth.predecessor, line, pulse, log)
            code(child, **birth.spec.arguments)
    except IgnoreStart as nothing:
        log.info("has nothing to do", why=str(nothing))
        line.send(Ignore())
    except SystemExit as leaves:
        return status_of(leaves)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this process's death, and is told
        report(error, line, log)
        return CRASHED
    return 0


def serve_server(birth: Birth, code: type[Server], line: Line, pulse: Pulse, log: FieldLog) -> None:
    from supervisor.process.real import RealWorld  # with ZeroMQ: a plain function needs none

    world = RealWorld(birth, line, pulse, log, code.LIMITS)
    try:
        world.run(code(world, birth.spec.arguments))
    finally:
        world.farewell()
    log.info("ends")


def status_of(leaves: SystemExit) -> int:
    """As the interpreter would: no code is 0, a text is 1 and goes to stderr, which is the log."""
    if leaves.code is None or isinstance(leaves.code, int):
        return (leaves.code or 0) & 0xFF
    sys.stderr.write(f"{leaves.code}\n")
    return CRASHED


def resolve(start: str) -> Any:
    """What ``"package.module:name"`` names: a function or a ``Server``."""
    module, _, name = start.partition(":")
    # Preloaded as a rule; asking importlib then costs a tenth of a millisecond and 0.2 MiB that were shared.
    found = getattr(sys.modules.get(module) or import_module(module), name, None)
    if found is None:
        raise BadSpec(f"start is {start!r}, and {module} has no {name!r}")
    return found


def report(error: Exception, line: Line, log: FieldLog) -> None:
    """The supervisor first: it hears of it also where the disk of the logs is full, and what is written there fails."""
    last = last_words(error)
    try:
        line.send(last)
    except OSError as gone:
        log.error("the supervisor cannot be told", error=str(gone))
    if isinstance(error, EndsInWords):
        log.warning(f"ends: {error}")
        return
    log.error(f"dies of {type(error).__name__}: {error}", where=last.where)
    with suppress(OSError):
        traceback.print_exception(error)


def last_words(error: Exception) -> LastException:
    """What the supervisor is told of an exception: the text alone where that says all."""
    if isinstance(error, EndsInWords):
        return LastException(str(error)[:LAST_WORDS_MAX], "")
    where = "" if isinstance(error, BadSpec) else innermost(error)
    return LastException(f"{type(error).__name__}: {error}"[:LAST_WORDS_MAX], where)


def innermost(error: BaseException) -> str:
    """``file:line`` of the innermost frame that is not of this room: the user's line, not ours that called it."""
    frames = traceback.extract_tb(error.__traceback__)
    outside = [frame for frame in frames if "/supervisor/" not in frame.filename]
    frame = (outside or list(frames))[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"
