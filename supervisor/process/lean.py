"""sqlite-utils without what it takes along where it happens to be installed.

It imports pandas and numpy if it can, for types of columns that no schema of ours has: 50 MB and half a second in each
process that writes a store (measured), once anything on the machine has brought pandas. So they are not to be found
while it is loaded; who has them already keeps them.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

TAKEN_ALONG = ("pandas", "numpy")


def sqlite_utils() -> ModuleType:
    hidden = [name for name in TAKEN_ALONG if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # the import system's own word for: not there
    try:
        return import_module("sqlite_utils")
    finally:
        for name in hidden:
            del sys.modules[name]
