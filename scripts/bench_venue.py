"""A venue for measuring: speaks just enough of TradeStation's wire, and stamps two moments on one monotonic clock: when
a closing bar's bytes go to the feed's socket, and when the first byte of the order that comes of it arrives.

A thread and a plain socket a connection, so that nothing stands between the kernel and the stamps. Each market order
fills at once, and its children work then. It is no emulator: it knows one account, any symbols and no rules.
"""

import datetime
import itertools
import json
import socket
import threading
import time
from collections import defaultdict
from typing import Any
from urllib.parse import unquote

SYMBOL, ACCOUNT = "SPY", "BENCH1M"
PRICE = 167.0
MINUTE_S = 60
HEARTBEAT_S = 1.0
READ_BYTES = 65536
ORDERS_KEPT = 40
"""Closed ones, as of one day at a venue: so that a read costs the same at the end as at the beginning."""
CLOSED = ("FLL", "OUT")


class BenchVenue:
    """Listens from the start; ``close_bar`` sends a closed bar; ``first_byte_s`` tells when its order came."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._lock = threading.RLock()
        self._bars: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
        self._orders: dict[str, dict[str, Any]] = {}
        self._positions: defaultdict[str, int] = defaultdict(int)
        self._numbers = itertools.count(1)
        self._streams: defaultdict[str, list[socket.socket]] = defaultdict(list)
        self._entered_s: dict[str, float] = {}
        self._entered = threading.Condition(self._lock)
        for work in (self._accept, self._beat):
            threading.Thread(target=work, daemon=True).start()

    # -- what the bench does ---------------------------------------------------------------------------------------

    def close_bar(self, closed_utc: int, symbol: str = SYMBOL) -> float:
        """Send a closed bar to all who listen; the moment before its bytes are given to the kernel."""
        shape = bar(closed_utc)
        chunk = chunked(json.dumps(shape).encode() + b"\n")
        with self._lock:
            self._bars[symbol].append(shape)
            self._entered_s.pop(symbol, None)
            sent_s = time.monotonic()
            for stream in self._streams[symbol]:
                stream.sendall(chunk)
        return sent_s

    def first_byte_s(self, limit_s: float, symbol: str = SYMBOL) -> float | None:
        """When the first byte of the entry came that followed the symbol's last bar; None if none did."""
        with self._entered:
            self._entered.wait_for(lambda: symbol in self._entered_s, limit_s)
            return self._entered_s.get(symbol)

    def position(self, symbol: str = SYMBOL) -> int:
        return self._positions[symbol]

    def listeners(self, kind: str = SYMBOL) -> int:
        """Of the bars of a symbol, of ``orders`` or of ``positions``."""
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
        path = target.partition("?")[0].split("/")
        bars = "barcharts" in path
        kind = unquote(path[-1]) if bars else next(each for each in ("orders", "positions") if each in path)
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        with self._lock:
            first = [json.dumps(each) for each in self._bars[kind][-2:]] if bars else []
            if kind == "orders":
                first = [json.dumps(each) for each in self._orders.values()]
            if not bars:
                first.append('{"StreamStatus":"EndSnapshot"}')
            for each in first:
                peer.sendall(chunked(each.encode() + b"\n"))
            self._streams[kind].append(peer)

    def _beat(self) -> None:
        while True:
            time.sleep(HEARTBEAT_S)
            for kind in list(self._streams):
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
        name = unquote(path.rpartition("/")[2])
        with self._lock:
            if "/symbols/" in path:
                price = {"Increment": "0.01", "PointValue": "1"}
                symbols = [{"Symbol": each, "AssetType": "STOCK", "PriceFormat": price} for each in name.split(",")]
                return {"Symbols": symbols, "Errors": []}
            if "/barcharts/" in path:
                return {"Bars": self._bars[name][-1000:]}
            if path.endswith("/accounts"):
                return {"Accounts": [{"AccountID": ACCOUNT, "AccountType": "Margin", "Status": "Active"}]}
            if path.endswith("/orders"):
                return {"Orders": list(self._orders.values()), "Errors": []}
            if path.endswith("/positions"):
                return {"Positions": [held(*each) for each in self._positions.items() if each[1]], "Errors": []}
            return {"Balances": [{"AccountID": ACCOUNT, "CashBalance": "100000", "Equity": "100000"}], "Errors": []}

    def _instructed(self, method: str, order_id: str, body: dict[str, Any], arrived_s: float) -> dict[str, Any]:
        with self._lock:
            if method == "POST":
                if body["OrderType"] == "Market":
                    self._entered_s[body["Symbol"]] = arrived_s
                    self._entered.notify_all()
                told = self._placed(body)
            else:
                told = [self._orders[order_id]]
                if method == "PUT" and body.get("OrderType") == "Market":
                    told[0]["OrderType"] = "Market"
                elif method == "PUT":
                    told[0] |= {"StopPrice": body["StopPrice"]} if "StopPrice" in body else {}
                else:
                    told[0] |= {"Status": "OUT", "ClosedDateTime": utc(time.time())}
            for shape in told:
                if shape["OrderType"] == "Market" and shape["Status"] not in CLOSED:
                    self._fill(shape)
            closed = [each for each, shape in self._orders.items() if shape["Status"] in CLOSED]
            for each in closed[:-ORDERS_KEPT]:
                del self._orders[each]
            frames = [dict(shape) for shape in told]
        threading.Thread(target=self._tell_all, args=(frames,), daemon=True).start()
        elements = [{"OrderID": shape["OrderID"], "Message": "Sent order"} for shape in told]
        return {"Orders": elements} if method == "POST" else elements[0]

    def _placed(self, body: dict[str, Any], parent: str = "") -> list[dict[str, Any]]:
        """The order and its children, in the venue's sequence."""
        order_id = str(next(self._numbers))
        shape = self._orders[order_id] = order(order_id, body)
        told = [shape]
        for group in body.get("OSOs", ()):
            for child in group["Orders"]:
                told += self._placed(child, order_id)
        shape["ConditionalOrders"] = [{"OrderID": each["OrderID"], "Relationship": "OSO"} for each in told[1:]]
        if parent:
            shape["ConditionalOrders"] = [{"OrderID": parent, "Relationship": "OSP"}]
        return told

    def _tell_all(self, frames: list[dict[str, Any]]) -> None:
        for frame in frames:
            self._tell("orders", frame)

    def _fill(self, shape: dict[str, Any]) -> None:
        (leg,) = shape["Legs"]
        self._positions[leg["Symbol"]] += (1 if leg["BuyOrSell"] == "Buy" else -1) * int(leg["QuantityOrdered"])
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


def held(symbol: str, quantity: int) -> dict[str, str]:
    side = "Long" if quantity > 0 else "Short"
    shape = {"PositionID": symbol, "AccountID": ACCOUNT, "Symbol": symbol, "Quantity": str(quantity), "LongShort": side}
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
