"""The benches by name: lists them, or runs one with the arguments that follow its name.

Run by scripts/bench from the project's root. Knows no bench from inside: each is a module with its own main.
"""

import os
import sys
from collections.abc import Mapping, Sequence

# name -> (module, what it measures). A bench is added here when it can be run.
BENCHES: Mapping[str, tuple[str, str]] = {
    "desk": ("scripts.bench_desk", "memory by role, simulated session-days an hour"),
    "drills": ("scripts.kill_drills", "kill -9 of real processes in open windows, judged by the emulator's book"),
    "feeds": ("scripts.bench_feeds", "throughput and delay from a stream's bytes to its subscriber, 100 streams"),
    "orders": ("scripts.bench_orders", "from a bar to its order, alone and with 50 sessions; intents a second"),
    "start": ("scripts.bench_start", "what the start of a desk of many series asks of the venue"),
    "supervisor": ("scripts.bench_supervisor", "kill to ready, groups, many children, idle CPU, memory, control"),
}
EXIT_OK = 0
EXIT_USAGE = 2


def main(arguments: Sequence[str]) -> int:
    """Run the named bench in place of this process; without a name list all, with an unknown one exit 2."""
    if not arguments:
        print(listing())
        return EXIT_OK
    name, *rest = arguments
    if name in BENCHES:
        os.execv(sys.executable, [sys.executable, "-m", BENCHES[name][0], *rest])
    print(f"bench: there is no bench {name!r}. {listing()}", file=sys.stderr)
    return EXIT_USAGE


def listing() -> str:
    """All benches, one a line; says so when there is none."""
    if not BENCHES:
        return "No bench exists yet."
    width = max(map(len, BENCHES))
    return "\n".join(["Benches:", *(f"  {name:{width}}  {what}" for name, (_, what) in BENCHES.items())])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
