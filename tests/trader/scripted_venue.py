"""A venue of a few lines over real HTTP: what it answers is written down by the test, what it was asked is kept."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.brokers import golden

ACCOUNT = "/v3/brokerage/accounts/SIM100001F"
ANSWERS: dict[str, tuple[int, bytes]] = {
    "POST /oauth/token": (200, golden.TOKEN_ROTATED),
    "GET /v3/brokerage/accounts": (200, golden.ACCOUNTS),
    f"GET {ACCOUNT}/orders": (200, golden.ORDERS),
    f"GET {ACCOUNT}/positions": (200, golden.POSITIONS),
    f"GET {ACCOUNT}/balances": (200, golden.BALANCES),
    "GET /v3/marketdata/symbols/ESZ26": (200, golden.SYMBOLS),
    "GET /v3/marketdata/quotes/ESZ26": (200, golden.QUOTES),
}


CUT = (0, b"")
"""An answer that never comes: the connection ends without a byte."""


class ScriptedVenue:
    """``answers`` by method and path; ``forms`` are the token requests; ``headers`` go out with each answer."""

    def __init__(self) -> None:
        self.answers = dict(ANSWERS)
        self.headers: dict[str, str] = {}
        self.asked: list[str] = []
        self.forms: list[dict[str, str]] = []
        venue = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                what = f"{self.command} {unquote(urlsplit(self.path).path)}"
                venue.asked.append(what)
                if what in ("POST /oauth/token", "POST /oauth/revoke"):
                    venue.forms.append({name: values[0] for name, values in parse_qs(body.decode()).items()})
                status, content = venue.answers.get(what, (404, b'{"Error":"NotFound","Message":"nothing here"}'))
                if (status, content) == CUT:
                    self.close_connection = True
                    return
                self.send_response_only(status)
                for name, value in {"Date": self.date_time_string(), **venue.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = _answer

            def log_message(self, format: str, *arguments: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
