"""TradeStation's order status codes, each with what it means to us and where it is odd. PURE.

Source: the vendor's table of status codes and the sequences of frames seen. The vendor names 37 codes
in one place and 20 in another, and sends codes outside both: a code that is not here means "still open, look it
up" and never an end (law 6: unknown is not closed).
"""

from __future__ import annotations

import msgspec

from brokers.model import OrderStatus as Status


class Row(msgspec.Struct, frozen=True):
    """``closed``: the status once ClosedDateTime is set, where that matters. ``fill``: the code tells of a fill."""

    status: Status
    closed: Status | None = None
    fill: bool = False


UNKNOWN_CODE = Row(Status.UNKNOWN)

STATUSES: dict[str, Row] = {
    # Open.
    "ACK": Row(Status.WORKING),  # "Received". Can carry a fill: ExecQuantity with a price counts (replace in flight)
    "OPN": Row(Status.RECEIVED),  # "Sent"
    "DON": Row(Status.RECEIVED),  # "Queued" for the next session, not "done"; can carry a fill too
    "DIS": Row(Status.RECEIVED),
    "PLA": Row(Status.RECEIVED),
    "FPR": Row(Status.WORKING, fill=True),  # part-filled and alive
    "STP": Row(Status.WORKING),  # "Stop Hit", seen with a ClosedDateTime before the fill: that date means nothing
    "CND": Row(Status.RECEIVED),
    "OSO": Row(Status.RECEIVED),
    "SUS": Row(Status.RECEIVED),
    "UCN": Row(Status.CANCELLING),  # "Cancel Sent", not "user cancelled"
    "CSN": Row(Status.CANCELLING),
    "ECN": Row(Status.CANCELLING),
    "REC": Row(Status.CANCELLING),
    "RSN": Row(Status.WORKING),
    "RPD": Row(Status.WORKING),
    "CHG": Row(Status.WORKING),
    "RJC": Row(Status.WORKING),  # the cancel was refused: the order lives
    "LAT": Row(Status.WORKING),  # too late to cancel: a fill is to be expected
    "STT": Row(Status.UNKNOWN),
    "OTHER": Row(Status.UNKNOWN),
    "BRO": Row(Status.UNKNOWN),  # an execution undone by the broker: to be looked at
    "COR": Row(Status.UNKNOWN),  # a fill corrected: to be read again
    "RJR": Row(Status.UNKNOWN),  # vendor: Canceled. But it is the change that was refused; the order may live
    # Over, though the vendor files them under Open.
    "BRF": Row(Status.FILLED, fill=True),
    "BRC": Row(Status.CANCELLED),
    "ASS": Row(Status.FILLED, fill=True),
    "EXE": Row(Status.FILLED, fill=True),
    "DOA": Row(Status.CANCELLED),
    # Over.
    "FLL": Row(Status.FILLED, fill=True),  # comes twice, first without ClosedDateTime
    "FLP": Row(Status.CANCELLED, fill=True),  # part-filled, the rest cancelled
    "CAN": Row(Status.CANCELLED),
    "EXP": Row(Status.EXPIRED),  # seen with ExecQuantity equal to QuantityOrdered and no price: no fill
    "TSC": Row(Status.CANCELLED),  # by the trade server; not "trailing stop cancelled"
    "SCN": Row(Status.CANCELLED),
    "OUT": Row(Status.CANCELLING, closed=Status.CANCELLED),  # one after a replace, without the date, ends nothing
    "UCH": Row(Status.UNKNOWN, closed=Status.CANCELLED),  # this version was replaced; under the same id it lives on
    "REJ": Row(Status.REJECTED),
}


def row_of(code: str) -> Row:
    return STATUSES.get(code, UNKNOWN_CODE)


def status_of(code: str, *, closed: bool) -> Status:
    """The meaning of a code; ``closed``: the order has a ClosedDateTime."""
    row = row_of(code)
    return row.closed if closed and row.closed is not None else row.status
