"""The desk's supervising process: configuration in, tree out. Run as ``python -m trader.app HOME``.

`nightdesk run` replaces itself by this, a clean interpreter: a forked child has whatever its parent imported, so
nothing of the command line may be here. It also keeps a package that is upgraded on disk from mixing versions in one
process by a lazy import at night.
"""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

from supervisor.errors import BadSpec, HomeTaken, StoreFailed
from supervisor.process.clock import BadClock
from supervisor.process.store import SqliteStore
from supervisor.runtime.main import run
from supervisor.runtime.settings import Settings
from trader.config import CONFIG_FILE, BadConfig, DeskConfig, read_config
from trader.risk.limits import live_refusal
from trader.sessions import Session, Wanted
from trader.specs import PRELOAD, root_spec
from trader.store import desk

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


def check_live(home: Path, config: DeskConfig) -> None:
    """Stored sessions against the configuration: LIVE refuses to start without limits. Raises ``BadConfig``."""
    for session in stored_sessions(home):
        connection = config.connections.get(session.connection)
        no = live_refusal(session, connection.environment, config.limits) if connection is not None else None
        if no is not None and session.wanted is not Wanted.OFF:
            raise BadConfig(f"{home / CONFIG_FILE}: {no}. Mend the file; nothing was started.")


def stored_sessions(home: Path) -> list[Session]:
    """None where no desk ran, or where an older program wrote the file (it had no LIVE). What cannot be read is the
    recorder's trouble and told by it; no session starts without it."""
    if not (home / desk.DESK_DB).exists():
        return []
    try:
        with closing(SqliteStore(home / desk.DESK_DB, None)) as store:
            return desk.read_sessions(store)
    except StoreFailed:
        return []


def main(home: Path) -> int:
    """The exit status: 0 after an orderly end, 1 failed, 78 bad configuration (systemd: RestartPreventExitStatus)."""
    try:
        config = read_config(home)
        check_live(home, config)
        return run(root_spec(config), settings(home, config), PRELOAD)
    except (BadConfig, BadSpec, BadClock) as error:
        sys.stderr.write(f"nightdesk: {error}\n")
        return EXIT_BAD_CONFIG
    except HomeTaken as error:
        sys.stderr.write(f"nightdesk: {error}\n")
        return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
