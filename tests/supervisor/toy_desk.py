"""The toy desk as a process: ``python -m tests.supervisor.toy_desk HOME``."""

import sys

from supervisor.runtime.main import run
from supervisor.runtime.settings import Settings
from tests.supervisor.toys import toy_desk

if __name__ == "__main__":
    sys.exit(run(toy_desk(), Settings(home=sys.argv[1], title="toys"), ("supervisor.process.real",)))
