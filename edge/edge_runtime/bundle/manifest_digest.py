"""The manifest's own digest: the manifest lists the hash of every other file, and this finds damage to itself.

It is the SHA-256 of the file's bytes with the digest left empty, as two programs of any system compute it:

    sed 's/"digest": "[0-9a-f]*"/"digest": ""/' manifest.json | sha256sum
"""

from __future__ import annotations

import hashlib
import re

NOT_YET = "0" * 64  # the digest of a manifest that has none of its own yet
_DIGEST = re.compile(rb'"digest": "[0-9a-f]*"')  # a text inside of JSON has no quotes without a backslash before them


def with_digest(manifest: bytes) -> bytes:
    """The bytes to write: those of a manifest with any digest, and then with its own."""
    return _DIGEST.sub(f'"digest": "{digest_of(manifest)}"'.encode("ascii"), manifest, count=1)


def is_damaged(manifest: bytes) -> bool:
    """Whether the bytes carry a digest, and another than their own."""
    return _DIGEST.search(manifest) is not None and with_digest(manifest) != manifest


def digest_of(manifest: bytes) -> str:
    """The digest that the bytes of `manifest.json` should carry, in hex."""
    return hashlib.sha256(_DIGEST.sub(b'"digest": ""', manifest)).hexdigest()
