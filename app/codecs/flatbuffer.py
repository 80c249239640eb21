"""Flatbuffers, read without trust in any length or offset that they hold.

Every number is looked up within the bytes of the message; what lies outside raises ValueError or
struct.error. Source: the FlatBuffers documentation, "Internals".
"""

from __future__ import annotations

import struct
from typing import NamedTuple


class FlatbufferVector(NamedTuple):
    """A list of a flatbuffer."""

    offset: int  # of its first element
    length: int  # in elements


class FlatbufferTable(NamedTuple):
    """A table of a flatbuffer: the message that holds it, and its offset there."""

    buffer: bytes
    offset: int

    def field_offset(self, field_number: int) -> int:
        """Return the offset of a field; 0 if it has its default."""
        vtable_offset = self.offset - unpack_number("<i", self.buffer, self.offset)
        vtable_size = unpack_number("<H", self.buffer, vtable_offset)
        if 4 + 2 * field_number >= vtable_size:
            return 0
        offset = unpack_number("<H", self.buffer, vtable_offset + 4 + 2 * field_number)
        return self.offset + offset if offset else 0

    def read_number(self, field_number: int, struct_format: str) -> int:
        """Return a field that is a number; 0 if it has its default."""
        offset = self.field_offset(field_number)
        return unpack_number(struct_format, self.buffer, offset) if offset else 0

    def child_table(self, field_number: int) -> FlatbufferTable:
        """Return a field that is a table. Raises ValueError if it is missing."""
        return self.table_at(self.field_offset(field_number))

    def table_at(self, offset: int) -> FlatbufferTable:
        """Return the table that the reference at this offset refers to."""
        return FlatbufferTable(self.buffer, _follow_reference(self.buffer, offset))

    def vector(self, field_number: int, element_size: int) -> FlatbufferVector:
        """Return a field that is a list, empty if it is missing; element_size: in bytes."""
        field_offset = self.field_offset(field_number)
        if not field_offset:
            return FlatbufferVector(0, 0)
        length_offset = _follow_reference(self.buffer, field_offset)
        length = unpack_number("<I", self.buffer, length_offset)
        if length_offset + 4 + length * element_size > len(self.buffer):
            raise ValueError("a list is longer than its message")
        return FlatbufferVector(length_offset + 4, length)


def unpack_number(struct_format: str, buffer: bytes, offset: int) -> int:
    """Return the number at an offset. Raises ValueError or struct.error if it lies outside."""
    if offset < 0:
        raise ValueError("an offset lies before its message")
    return struct.unpack_from(struct_format, buffer, offset)[0]


def _follow_reference(buffer: bytes, offset: int) -> int:
    """Return the offset that the reference at this offset refers to."""
    if not offset:
        raise ValueError("a message lacks a field")
    return offset + unpack_number("<I", buffer, offset)
