"""What others send, as text that may be shown: on a terminal and in a log a control character is a command. PURE."""

from __future__ import annotations

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def printable(text: str) -> str:
    """On one line, and nothing in it moves a cursor, colours or clears a screen."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else " " if each in "\n\t" else REPLACEMENT for each in text)
