"""AMQP properties that brokers pass on and pika cannot read.

pika raises inside its frame decoder for a float that is no number, a time past year 9999, or tables nested
some hundred deep. The connection is lost, the message delivered again, and so on for ever: no consumer gets
past it. A value that cannot be read becomes None, and whoever decodes the message decides what it is worth.
"""

import struct
from typing import Any

import pika.data

_decode_value = pika.data.decode_value

#: Bytes that a value of this kind takes. Tables and arrays begin with their length.
_WIDTHS = {b"T": 8, b"f": 4, b"d": 8}
_CONTAINERS = {b"F", b"A"}


def decode_value(encoded: bytes, offset: int) -> tuple[Any, int]:
    """The value at `offset`, None where it cannot be represented, and the offset behind it."""
    try:
        value, end = _decode_value(encoded, offset)
    except (ValueError, OverflowError, OSError, RecursionError):
        kind, start = encoded[offset : offset + 1], offset + 1
        if kind in _CONTAINERS:
            return None, start + 4 + struct.unpack_from(">I", encoded, start)[0]
        if kind not in _WIDTHS:
            raise
        return None, start + _WIDTHS[kind]
    return value, end


def decode_short_string(encoded: bytes, offset: int) -> tuple[str, int]:
    """The text at `offset`, bytes that are no UTF-8 escaped (pika gives bytes then), and the offset behind it."""
    end = offset + 1 + encoded[offset]
    return encoded[offset + 1 : end].decode("utf-8", "backslashreplace"), end


def tolerate() -> None:
    """Have pika decode like this in the whole process."""
    pika.data.decode_value = decode_value
    pika.data.decode_short_string = decode_short_string
