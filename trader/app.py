"""The desk's supervising process: configuration in, tree out. Run as ``python -m trader.app HOME``.

`nightdesk run` replaces itself by this, a clean interpreter: a forked child has whatever its parent imported, so
nothing of the command line may be here. It also keeps a package that is upgraded on disk from mixing versions in one
process by a lazy import at night.
"""

from __future__ import annotations

import sys
from pathlib import Path

from supervisor.errors import BadSpec, HomeTaken
from supervisor.process.clock import BadClock
from supervisor.runtime.main import run
from supervisor.runtime.settings import Settings
from trader.config import BadConfig, DeskConfig, read_config
from trader.specs import PRELOAD, root_spec

EXIT_FAILED = 1
EXIT_BAD_CONFIG = 78


def settings(home: Path, config: DeskConfig) -> Settings:
    return Settings(
        home=str(home),
        clock_file=config.desk.clock and str(home / config.desk.clock),
        record_to="recorder",
        log_json=config.desk.log_json,
        log_level=config.desk.log_level,
        echo=True,
    )


def main(home: Path) -> int:
    """The exit status: 0 after an orderly end, 1 failed, 78 bad configuration (systemd: RestartPreventExitStatus)."""
    try:
        config = read_config(home)
        return run(root_spec(config), settings(home, config), PRELOAD)
    except (BadConfig, BadSpec, BadClock) as error:
        sys.stderr.write(f"nightdesk: {error}\n")
        return EXIT_BAD_CONFIG
    except HomeTaken as error:
        sys.stderr.write(f"nightdesk: {error}\n")
        return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
