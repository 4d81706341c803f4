"""What nobody outside the venue knows about its orders, each with the answer this emulator gives. PURE.

A ``RulesChanged`` in the book changes them while it runs; a client worth its name works under all of them.
"""

from __future__ import annotations

import msgspec


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Times are market seconds. The venue's simulation fills "instantly" [spec]: so both delays are 0 by default."""

    print_quantity_futures: int = 50
    """So many contracts fill at one print, the rest at the next ones; 0: all. Part-fills of SIM are undocumented."""
    print_quantity_stocks: int = 5_000
    limit_needs_through: bool = False
    """A limit order fills only when the market trades beyond its price, not when it touches it."""
    session_hours: bool = True
    """Orders sent while the market is closed are held (DON), stocks trade in their hours only. Off: whenever a price
    prints."""
    buying_power_checked: bool = True
    cancel_s: float = 0.0
    """From "Cancel request sent" to the end: the time in which a fill can still win (LAT)."""
    replace_s: float = 0.0
    """From "Cancel/Replace order sent." to the change: a fill within it is of the old order, and rides on an ACK."""
    replace_shows_out: bool = False
    """After a replace an OUT of the same id comes that ends nothing [client 1]."""
    extended_stops: bool = True
    """A StopMarket with DYP, GCP or GDP fires outside regular hours ("P forms include the extended session" [spec]);
    off: it waits for regular hours, as the market order that it becomes would (Market with DYP is refused [report])."""
    replace_renews: bool = False
    """A replace gives a GTC or GCP order ninety new days; the vendor's texts do not say."""
    group_cancel_status: str = "OUT"
    """How an order ends that its group cancels: OUT, CAN, TSC or BRC."""
    cancel_ends_group: bool = False
    """Cancelling one of a group cancels the others ("legs are independent orders" [spec], so: no)."""
    oso_sends_on_part_fill: bool = False
    """Children are sent at the first part-fill of the parent, not when it has filled."""
    expiry_told: bool = False
    """An expired order is told on the stream; reported is that it is not [client 2]."""
    expired_shows_executed: bool = True
    """An expired order reads as if executed, without a price [report]."""
    refusal_told: bool = True
    """An order refused at once is told on the stream; some appear on none [client 1]."""
    refusal_burns_key: bool = True
    """An OrderConfirmID of a refused order is used up."""
    duplicate_refused: bool = True
    """A used OrderConfirmID is refused [report]."""
    stop_hit_frames: bool = True
    """A stop's fill is told as STP, ACK with the execution, FLL twice [client 1, real frames]; off: FLL twice."""


RULES = Rules()
