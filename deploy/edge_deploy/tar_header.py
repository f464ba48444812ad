"""The 512 bytes before each member of a tar (POSIX ustar): one form only, a plain file of owner 0 and time 0.

Written here and not by `tarfile`, whose bytes for the same member changed with Python 3.9: these bytes are
compared, so they are part of the format.
"""

from __future__ import annotations

import tarfile

BLOCK = 512
MAX_NAME = 100
MAX_LENGTH = 0o77777777777  # 8 GiB - 1, what the field holds
LENGTH_FIELD = slice(124, 135)


def header_for(name: str, length: int) -> bytes:
    """The header of a plain file. Raises ValueError for what the format cannot hold."""
    encoded = name.encode("ascii")
    if len(encoded) > MAX_NAME or not 0 <= length <= MAX_LENGTH:
        raise ValueError(f"a tar header cannot hold {name!r} with {length} bytes")
    start = encoded.ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + b"%011o\0" % length + b"%011o\0" % 0
    rest = b"0" + bytes(100) + b"ustar\00000" + bytes(64) + b"0000000\0" * 2 + bytes(155 + 12)
    checksum = sum(start) + sum(rest) + 8 * ord(" ")
    return start + b"%06o\0 " % checksum + rest


def padded(length: int) -> int:
    """How many bytes a member's content takes: tar fills the last block."""
    return -(-length // BLOCK) * BLOCK


def what_header_says(block: bytes) -> str:
    """Describe a header that is not the expected one, for a message and for nothing else."""
    try:
        member = tarfile.TarInfo.frombuf(block, "utf-8", "replace")
    except tarfile.HeaderError:
        return "no tar header"
    if member.isreg():
        return f"the file {member.name!r} of {member.size} bytes"
    if member.issym() or member.islnk():
        return f"the link {member.name!r} to {member.linkname!r}"
    return f"{member.name!r}, which is no plain file"
