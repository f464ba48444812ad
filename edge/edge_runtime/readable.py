"""Text as people may read it: no characters that a terminal obeys, and no passwords.

>>> readable("rtsp://viewer:hunter2@10.0.0.7/live sent \\x1b[2J")
'rtsp://viewer:***@10.0.0.7/live sent \\\\x1b[2J'

Names of files hold any bytes, a camera's URI and a GStreamer pipeline may hold a password, and libraries repeat both in
their errors. What goes into logs, onto a terminal, into states and verdicts passes here. Rather too much is hidden than
too little.
"""

from __future__ import annotations

import re

_IN_URI = re.compile(r"(//[^\s/:@]*):\S*@")  # to the last @, for a password may hold one
_BEFORE_HOST = re.compile(r"(?<![\w/.-])([\w.-]+):[^\s:@/'\"]+@(?=[\w\[])")
_SETTING = re.compile(
    r"\b([\w-]*(?:pw|pass|passwd|password|secret))(\s*=\s*)(?:\"[^\"]*\"|'[^']*'|[^\s,;!]+)", re.IGNORECASE
)


def readable(text: str) -> str:
    """The text in one line, without passwords and control characters."""
    return escaped(redacted(text))


def escaped(text: str) -> str:
    """The text with escapes for what no terminal or record should get: control characters, line ends, half characters.

    A file's name may hold any bytes; those that are no UTF-8 come from the system as half characters (surrogates).
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def readable_lines(text: str) -> str:
    """The same for a text of several lines, such as a traceback."""
    return "\n".join(map(readable, text.split("\n")))


def redacted(text: str) -> str:
    """The text without what stands where a password does."""
    if "@" in text:
        text = _BEFORE_HOST.sub(r"\1:***@", _IN_URI.sub(r"\1:***@", text))
    return _SETTING.sub(r"\1\2***", text) if "=" in text else text
