"""What a strategy wants of one symbol, as it stands now. PURE."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from brokers.model import ZERO, Trail, Value
from trader.orders.intents import Purpose


class Declaration(Value, frozen=True):
    """What the strategy wants of one symbol, as it stands now: fills and refusals bring ``quantity`` to what is true.

    ``voided``: a divergence was adopted; ``voided_quantity`` and ``voided_stop`` are what had been declared then.
    ``stop_by_person``: our stop was removed or changed by somebody else and is left so until the position is flat or
    released (order-safety 3.10); ``stop_less``: by so much somebody else has made it smaller, and it stays so as long;
    ``take_by_person`` is the same of the take. ``refused``: not tried again before the strategy declares anew.
    ``trail``: ``stop`` follows each closed bar at this distance, and only to the tighter side;
    ``trail_native``: stops placed from now on are left to the venue to move. ``intended_price``: the newest close that
    the strategy had seen when it declared this quantity. ``late``: that was on a late bar, so no entry comes of it,
    also where it added nothing then.
    """

    symbol: str
    quantity: Decimal
    stop: Decimal | None = None
    valid_until_utc: float = 0.0
    voided: bool = False
    voided_quantity: Decimal = ZERO
    voided_stop: Decimal | None = None
    stop_by_person: Literal["", "removed", "changed"] = ""
    refused: tuple[Purpose, ...] = ()
    intended_price: Decimal | None = None
    take: Decimal | None = None
    trail: Trail | None = None
    trail_native: bool = False
    take_by_person: Literal["", "removed", "changed"] = ""
    late: bool = False
    stop_less: Decimal = ZERO


def voided(d: Declaration, quantity: Decimal) -> Declaration:
    """Somebody else has decided: of what was declared there is left what is said here (order-safety 1.9)."""
    return msgspec.structs.replace(
        d,
        quantity=quantity,
        voided=True,
        voided_quantity=d.voided_quantity if d.voided else d.quantity,
        voided_stop=d.voided_stop if d.voided else d.stop,
    )
