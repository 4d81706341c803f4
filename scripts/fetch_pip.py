"""Fetch pip's own wheel, for a Python that comes with neither pip nor ensurepip (Debian's bare python3).

Usage: fetch_pip.py DIRECTORY; prints the path of the wheel, whose ``pip`` folder Python can run as it is.
Knows the standard library only. Asks the package index that pip itself would ask.
"""

import base64
import configparser
import hashlib
import html
import os
import re
import sys
import urllib.parse
import urllib.request
from pathlib import Path

# One release and its hash, written down here: whatever the index or a mirror says, this file or none.
WHEEL = "pip-26.3-py3-none-any.whl"
WHEEL_SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"
DEFAULT_INDEX = "https://pypi.org/simple"
TIMEOUT_S = 60.0
MAX_BYTES = 20_000_000  # the wheel has 2 MB, the index page less; more is not what we asked for


def main(directory: Path) -> Path:
    """Download the wheel into the directory, verified; raises OSError with what failed."""
    index = index_url().rstrip("/") + "/pip/"
    link = find_link(get(index).decode(), index)
    if link is None:
        raise OSError(f"the package index at {without_login(index)} does not list {WHEEL}")
    content = get(link)
    found = hashlib.sha256(content).hexdigest()
    if found != WHEEL_SHA256:
        raise OSError(f"{without_login(link)} has sha256 {found}, expected {WHEEL_SHA256}; not used")
    wheel = directory / WHEEL
    wheel.write_bytes(content)
    return wheel


def index_url() -> str:
    """The index pip would ask: its environment variable, its configuration files, then PyPI."""
    if url := os.environ.get("PIP_INDEX_URL"):
        return url
    home = Path.home()
    config_home = Path(os.environ.get("XDG_CONFIG_HOME", home / ".config"))
    config = configparser.RawConfigParser()  # later files win, as in pip
    files: list[str | Path] = ["/etc/pip.conf", home / ".pip/pip.conf", config_home / "pip/pip.conf"]
    config.read([*files, os.environ.get("PIP_CONFIG_FILE", os.devnull)])
    return config.get("global", "index-url", fallback=DEFAULT_INDEX)


def find_link(page: str, base: str) -> str | None:
    """The absolute address of the wheel on the index page (PEP 503), without its fragment."""
    links = (html.unescape(link) for link in re.findall(r"""href=["']([^"']+)["']""", page))
    for link in links:
        address = urllib.parse.urldefrag(urllib.parse.urljoin(base, link)).url
        if urllib.parse.urlsplit(address).path.endswith("/" + WHEEL):
            return address
    return None


def get(url: str) -> bytes:
    """One GET; a login written into the address goes out as basic authentication."""
    parts = urllib.parse.urlsplit(url)
    request = urllib.request.Request(without_login(url), headers={"Accept": "text/html, */*"})
    if parts.username is not None:
        login = urllib.parse.unquote(f"{parts.username}:{parts.password or ''}")
        token = base64.b64encode(login.encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {token}")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            content: bytes = response.read(MAX_BYTES + 1)
    except OSError as error:
        raise OSError(f"cannot read {without_login(url)}: {error}") from error
    if len(content) > MAX_BYTES:
        raise OSError(f"{without_login(url)} has more than {MAX_BYTES} bytes; not used")
    return content


def without_login(url: str) -> str:
    """The address as it may be shown: without user and password."""
    parts = urllib.parse.urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


if __name__ == "__main__":
    try:
        print(main(Path(sys.argv[1])))
    except OSError as error:
        sys.exit(f"nightdesk: could not get pip: {error}. Check the network, or set PIP_INDEX_URL to a mirror.")
