"""A tree that waits for a file before it is ready: ``python -m tests.supervisor.notified_desk HOME``.

Its second child, ``gated``, is ready when HOME/gate exists. Its first, ``witness``, has written by then what it and a
process that it started have in their environments.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from supervisor.process.server import Server
from supervisor.runtime.main import run
from supervisor.runtime.settings import Settings
from supervisor.spec import ChildSpec, SupervisorFlags

GATE_LIMIT_S = 30.0
HERE = "tests.supervisor.notified_desk"


class Witness(Server):
    def init(self) -> None:
        home = Path(self.arguments["home"])
        (home / "child.env").write_text("\n".join(os.environ))
        (home / "grandchild.env").write_bytes(subprocess.run(["env"], capture_output=True, check=True).stdout)


class Gated(Server):
    def init(self) -> None:
        until_s = time.monotonic() + GATE_LIMIT_S
        while not (Path(self.arguments["home"]) / "gate").exists():
            assert time.monotonic() < until_s, "the gate was never opened"
            time.sleep(0.01)


def tree(home: str) -> ChildSpec:
    children = [
        ChildSpec(id=name, start=f"{HERE}:{kind}", arguments={"home": home}, start_limit_s=GATE_LIMIT_S)
        for name, kind in (("witness", "Witness"), ("gated", "Gated"))
    ]
    return ChildSpec(
        id="notified",
        type="supervisor",
        supervisor=SupervisorFlags(intensity=50, period_s=60.0),
        children=(ChildSpec(id="control", start="supervisor.control.server:ControlServer"), *children),
    )


if __name__ == "__main__":
    sys.exit(run(tree(sys.argv[1]), Settings(home=sys.argv[1], title="notified"), ("supervisor.process.real", HERE)))
