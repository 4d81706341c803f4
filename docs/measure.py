"""The numbers of docs/performance.md, measured again: ``python docs/measure.py restart`` and ``... memory HOME``.

``restart`` runs a tree of two processes of its own and kills one of them again and again. ``memory`` looks at a desk
that runs. Both print the raw numbers, so that a median hides nothing.
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from supervisor.control.client import Client
from supervisor.errors import CallFailed
from supervisor.messages import ChildInfo, ChildSpec, SupervisorFlags
from supervisor.runtime.main import run
from supervisor.runtime.settings import Settings

SERVER = "supervisor.control.server:ControlServer"  # any process serves: this one is there already
TREE = ChildSpec(
    id="measured",
    type="supervisor",
    supervisor=SupervisorFlags(intensity=10_000, period_s=1.0),
    children=(ChildSpec(id="control", start=SERVER), ChildSpec(id="victim", start=SERVER)),
)
LIMIT_S = 10.0


def restart(times: int) -> list[float]:
    """Milliseconds from kill -9 to the tree showing the next incarnation as up, ``times`` times."""
    with tempfile.TemporaryDirectory() as home:
        supervisor = subprocess.Popen([sys.executable, __file__, "tree", home])
        try:
            with Client(home) as client:
                return [one_restart(client) for _ in range(times)]
        finally:
            supervisor.terminate()
            supervisor.wait()


def one_restart(client: Client) -> float:
    before = until_up(client, after=0)
    began_s = time.monotonic()
    os.kill(before.pid, signal.SIGKILL)
    until_up(client, after=before.incarnation)
    return 1000 * (time.monotonic() - began_s)


def until_up(client: Client, after: int) -> ChildInfo:
    until_s = time.monotonic() + LIMIT_S
    while time.monotonic() < until_s:
        try:
            (victim,) = client.tree("victim").children
        except CallFailed:
            continue  # the tree is still coming up
        if victim.state == "up" and victim.incarnation > after:
            return victim
    raise SystemExit(f"the victim was not up within {LIMIT_S:g} s")


def memory(home: str) -> list[tuple[str, float, float]]:
    """(role, PSS, private) in MiB of the supervising process and each child. PSS shares out what is shared."""
    supervisor = int(Path(home, "supervisor.lock").read_text().split()[1])
    rows = [("supervisor", *pages(supervisor))]
    for child in Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split():
        title = Path(f"/proc/{child}/cmdline").read_bytes().rstrip(b"\0").decode()
        rows.append((title.partition(": ")[2], *pages(int(child))))
    return rows


def pages(pid: int) -> tuple[float, float]:
    lines = [line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]]
    kib = {name.rstrip(":"): int(value) for name, value, *_ in lines}
    return kib["Pss"] / 1024, (kib["Private_Clean"] + kib["Private_Dirty"]) / 1024


def main(words: list[str]) -> None:
    match words:
        case ["tree", home]:
            sys.exit(run(TREE, Settings(home=home, title="measured"), ("supervisor.process.real",)))
        case ["restart", *times]:
            taken = restart(int(times[0]) if times else 50)
            sys.stdout.write(" ".join(f"{each:.1f}" for each in taken) + "\n")
            sys.stdout.write(f"kill -9 to ready, ms: median {statistics.median(taken):.1f}, {len(taken)} times\n")
        case ["memory", home]:
            rows = memory(home)
            for role, pss, private in rows:
                sys.stdout.write(f"{role:44} PSS {pss:6.1f} MiB   private {private:6.1f} MiB\n")
            sys.stdout.write(f"{'sum of PSS':44}     {sum(pss for _, pss, _ in rows):6.1f} MiB\n")
        case _:
            sys.exit("usage: python docs/measure.py restart [TIMES] | memory HOME")


if __name__ == "__main__":
    main(sys.argv[1:])
