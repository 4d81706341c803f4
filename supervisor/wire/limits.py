"""What one process takes from its peers, in numbers. PURE.

Two sets: between processes of one tree, which are ours, and for a socket that anybody of this user may knock at.
"""

from __future__ import annotations

import msgspec

from supervisor.wire.codec import MESSAGE_BYTES_MAX


class SocketLimits(msgspec.Struct, frozen=True):
    """``connections_max`` 0: not counted. ``memory_mib`` 0: no ceiling."""

    message_bytes_max: int = MESSAGE_BYTES_MAX
    """One frame; a longer one ends its connection before it is read."""
    queue_max: int = 1000
    """Messages in one direction to or from one peer: a second of the busiest desk. Full means absent."""
    handshake_s: float = 5.0
    """Who has not said by then that he speaks ZeroMQ is hung up on. An ipc handshake takes under a millisecond."""
    heartbeat_s: float = 0.0
    """0: none. A peer that does not read, or is stopped, is hung up on after four: what waits for it is freed then."""
    connections_max: int = 0
    """At once. The newest has room; the one that was silent longest goes (``door.py``)."""
    memory_mib: int = 0
    """What the process may allocate beyond what it began with. ZeroMQ takes endlessly many frames of one message,
    whatever its other limits (measured: 600 MiB a second); past the ceiling it hangs up on the sender. If our own
    allocation is the one that fails, the process dies of it and is started again."""


INSIDE = SocketLimits()
OUTSIDE = SocketLimits(
    message_bytes_max=1024 * 1024,
    # The largest request is a session's code or a spec with a whole group: tens of KiB.
    queue_max=16,
    # A client asks one thing at a time and reads the answer.
    handshake_s=2.0,
    heartbeat_s=5.0,
    connections_max=128,
    # A connection costs 23 KiB once its handshake is done (measured).
    memory_mib=256,
    # Sixty times what it needs, and less than a quarter of the smallest server.
)
