"""Ids are derived, never drawn: the same record gives the same ids on every replay."""

import hashlib


def netstrings(*parts: str) -> bytes:
    """Each part as `<length in characters>:<part>,` in UTF-8: no two lists of parts give the same bytes."""
    return "".join([f"{len(part)}:{part}," for part in parts]).encode()


def derive(*parts: str) -> str:
    """SHA-256 of the parts as netstrings, 64 hexadecimal digits."""
    return hashlib.sha256(netstrings(*parts)).hexdigest()
