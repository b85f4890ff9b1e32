"""AMQP properties that brokers pass on and pika cannot read.

pika raises inside its frame decoder for a time past year 9999 and for tables nested some hundred deep. The
connection is lost, the message is delivered again, and so on for ever: no consumer gets past it. A value that
cannot be read becomes None instead, and whoever decodes the message decides what it is worth.
"""

import struct
from typing import Any

import pika.data

_decode_value = pika.data.decode_value

_TIME = b"T"
_CONTAINERS = {b"F", b"A"}  # table, array


def decode_value(encoded: bytes, offset: int) -> tuple[Any, int]:
    """The value at `offset`, None where it cannot be represented, and the offset behind it."""
    try:
        value, end = _decode_value(encoded, offset)
    except (ValueError, OverflowError, OSError, RecursionError):
        kind, start = encoded[offset : offset + 1], offset + 1
        if kind in _CONTAINERS:
            return None, start + 4 + struct.unpack_from(">I", encoded, start)[0]
        if kind == _TIME:
            return None, start + 8
        raise
    return value, end


def decode_short_string(encoded: bytes, offset: int) -> tuple[str, int]:
    """The text at `offset`, bytes that are no UTF-8 escaped (pika gives bytes then), and the offset behind it."""
    end = offset + 1 + encoded[offset]
    return encoded[offset + 1 : end].decode("utf-8", "backslashreplace"), end


def tolerate() -> None:
    """Have pika decode like this in the whole process."""
    pika.data.decode_value = decode_value
    pika.data.decode_short_string = decode_short_string
