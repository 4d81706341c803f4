"""A venue for measuring: speaks just enough of TradeStation's wire, and stamps two moments on one monotonic clock: when
a closing bar's bytes go to the feed's socket, and when the first byte of the order that comes of it arrives.

A thread and a plain socket a connection, so that nothing stands between the kernel and the stamps. Each market order
fills at once. It is no emulator: it knows one symbol, one account and no rules.
"""

import datetime
import itertools
import json
import socket
import threading
import time
from typing import Any

SYMBOL, ACCOUNT = "SPY", "BENCH1M"
PRICE = 167.0
MINUTE_S = 60
HEARTBEAT_S = 1.0
READ_BYTES = 65536
ORDERS_KEPT = 40
"""As of one day at a venue: so that a read of the account costs the same at the end as at the beginning."""


class BenchVenue:
    """Listens from the start; ``close_bar`` sends a closed bar; ``first_byte_s`` tells when the order came."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._lock = threading.RLock()
        self._bars: list[dict[str, str]] = []
        self._orders: dict[str, dict[str, Any]] = {}
        self._position = 0
        self._numbers = itertools.count(1)
        self._streams: dict[str, list[socket.socket]] = {"bars": [], "orders": [], "positions": []}
        self._entry_s = 0.0
        self._entered = threading.Event()
        for work in (self._accept, self._beat):
            threading.Thread(target=work, daemon=True).start()

    # -- what the bench does ---------------------------------------------------------------------------------------

    def close_bar(self, closed_utc: int) -> float:
        """Send a closed bar to all who listen; the moment before its bytes are given to the kernel."""
        shape = bar(closed_utc)
        chunk = chunked(json.dumps(shape).encode() + b"\n")
        with self._lock:
            self._bars.append(shape)
            self._entered.clear()
            sent_s = time.monotonic()
            for stream in self._streams["bars"]:
                stream.sendall(chunk)
        return sent_s

    def first_byte_s(self, limit_s: float) -> float | None:
        """When the first byte of the entry came that followed the last bar; None if none did."""
        return self._entry_s if self._entered.wait(limit_s) else None

    @property
    def position(self) -> int:
        return self._position

    def listeners(self, kind: str) -> int:
        return len(self._streams[kind])

    # -- connections -----------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        while True:
            peer, _ = self._listener.accept()
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        """Requests of one connection, until it is closed or becomes a stream."""
        kept = b""
        try:
            while data := kept or peer.recv(READ_BYTES):
                arrived_s = time.monotonic()
                while b"\r\n\r\n" not in data:
                    data += peer.recv(READ_BYTES)
                head, _, body = data.partition(b"\r\n\r\n")
                method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
                length = content_length(head)
                while len(body) < length:
                    body += peer.recv(READ_BYTES)
                body, kept = body[:length], body[length:]
                if "/stream/" in target:
                    self._open_stream(peer, target)
                    return
                peer.sendall(reply(self._answer(method, target.partition("?")[0], body, arrived_s)))
        except OSError:
            peer.close()  # the desk has gone; that is its right

    def _open_stream(self, peer: socket.socket, target: str) -> None:
        kind = next(word for word in ("barcharts", "orders", "positions") if word in target)
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        with self._lock:
            first = [json.dumps(each) for each in self._bars[-2:]] if kind == "barcharts" else []
            if kind == "orders":
                first = [json.dumps(each) for each in self._orders.values()]
            if kind != "barcharts":
                first.append('{"StreamStatus":"EndSnapshot"}')
            for each in first:
                peer.sendall(chunked(each.encode() + b"\n"))
            self._streams["bars" if kind == "barcharts" else kind].append(peer)

    def _beat(self) -> None:
        while True:
            time.sleep(HEARTBEAT_S)
            for kind in self._streams:
                self._tell(kind, {"Heartbeat": 1, "Timestamp": "2013-10-07T14:00:00Z"})

    def _tell(self, kind: str, frame: dict[str, Any]) -> None:
        chunk = chunked(json.dumps(frame).encode() + b"\n")
        with self._lock:
            for stream in list(self._streams[kind]):
                try:
                    stream.sendall(chunk)
                except OSError:
                    self._streams[kind].remove(stream)

    # -- answers ---------------------------------------------------------------------------------------------------

    def _answer(self, method: str, path: str, body: bytes, arrived_s: float) -> dict[str, Any]:
        if path == "/oauth/token":
            return {"access_token": "bench", "token_type": "Bearer", "expires_in": 1200}
        if "/orderexecution/" in path:
            return self._instructed(method, path.rpartition("/")[2], json.loads(body or b"{}"), arrived_s)
        with self._lock:
            if "/symbols/" in path:
                price = {"Increment": "0.01", "PointValue": "1"}
                return {"Symbols": [{"Symbol": SYMBOL, "AssetType": "STOCK", "PriceFormat": price}], "Errors": []}
            if "/barcharts/" in path:
                return {"Bars": self._bars[-1000:]}
            if path.endswith("/orders"):
                return {"Orders": list(self._orders.values()), "Errors": []}
            if path.endswith("/positions"):
                return {"Positions": [held(self._position)] if self._position else [], "Errors": []}
            return {"Balances": [{"AccountID": ACCOUNT, "CashBalance": "100000", "Equity": "100000"}], "Errors": []}

    def _instructed(self, method: str, order_id: str, body: dict[str, Any], arrived_s: float) -> dict[str, Any]:
        with self._lock:
            if method == "POST":
                if body["OrderType"] == "Market":
                    self._entry_s = arrived_s
                    self._entered.set()
                order_id = str(next(self._numbers))
                self._orders[order_id] = order(order_id, body)
            elif method == "PUT" and body.get("OrderType") == "Market":
                self._orders[order_id]["OrderType"] = "Market"
            elif method == "DELETE":
                self._orders[order_id] |= {"Status": "OUT", "ClosedDateTime": utc(time.time())}
            shape = self._orders[order_id]
            if shape["OrderType"] == "Market":
                self._fill(shape)
            while len(self._orders) > ORDERS_KEPT:
                del self._orders[next(iter(self._orders))]
        threading.Thread(target=self._tell, args=("orders", dict(shape)), daemon=True).start()
        element = {"OrderID": order_id, "Message": "Sent order"}
        return {"Orders": [element]} if method == "POST" else element

    def _fill(self, shape: dict[str, Any]) -> None:
        (leg,) = shape["Legs"]
        self._position += (1 if leg["BuyOrSell"] == "Buy" else -1) * int(leg["QuantityOrdered"])
        leg |= {"ExecQuantity": leg["QuantityOrdered"], "ExecutionPrice": f"{PRICE}"}
        shape |= {"Status": "FLL", "ClosedDateTime": utc(time.time()), "FilledPrice": f"{PRICE}"}


def bar(closed_utc: int) -> dict[str, str]:
    price = f"{PRICE}"
    prices = {"Open": price, "High": price, "Low": price, "Close": price}
    return {**prices, "TimeStamp": utc(closed_utc), "TotalVolume": "100", "BarStatus": "Closed"}


def order(order_id: str, body: dict[str, Any]) -> dict[str, Any]:
    side = "Buy" if body["TradeAction"].startswith("BUY") else "Sell"
    leg = {"Symbol": body["Symbol"], "BuyOrSell": side, "QuantityOrdered": body["Quantity"], "ExecQuantity": "0"}
    shape = {
        "OrderID": order_id,
        "AccountID": ACCOUNT,
        "OrderType": body["OrderType"],
        "Status": "ACK",
        "OpenedDateTime": utc(time.time()),
        "Duration": body["TimeInForce"]["Duration"],
        "Legs": [leg],
    }
    return shape | ({"StopPrice": body["StopPrice"]} if "StopPrice" in body else {})


def held(quantity: int) -> dict[str, str]:
    side = "Long" if quantity > 0 else "Short"
    shape = {"PositionID": "1", "AccountID": ACCOUNT, "Symbol": SYMBOL, "Quantity": str(quantity), "LongShort": side}
    return shape | {"AveragePrice": f"{PRICE}"}


def utc(epoch_s: float) -> str:
    return datetime.datetime.fromtimestamp(epoch_s, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def content_length(head: bytes) -> int:
    for field in head.lower().split(b"\r\n"):
        if field.startswith(b"content-length:"):
            return int(field.partition(b":")[2])
    return 0


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def reply(content: dict[str, Any]) -> bytes:
    body = json.dumps(content).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
