"""Scalars of a TensorBoard event file, read without TensorBoard.

The package that reads these files takes 67 MB with what it needs (tensorboard 2.21, gRPC among it); the format is short:
records of TFRecord (length, CRC-32C of the length, data, CRC-32C of the data) that hold protocol buffers of type Event.
Only the fields of a scalar are looked at, and every checksum is.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from crossent.errors import SourceError

_CASTAGNOLI = 0x82F63B78  # the polynomial of CRC-32C, bits reversed
_MASK = 0xA282EAD8  # TFRecord rotates the CRC and adds this, so that a CRC of data with CRCs in it stays good
_FLOAT, _DOUBLE = 1, 2  # DataType in tensorflow/core/framework/types.proto
_MOST_BYTES = 1 << 30  # a longer record than 1 GiB is a wrong length

_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5  # wire types of protocol buffers


def _table() -> tuple[int, ...]:
    entries = []
    for entry in range(256):
        for _ in range(8):
            entry = entry >> 1 ^ (_CASTAGNOLI if entry & 1 else 0)  # shifted out bit by bit
        entries.append(entry)
    return tuple(entries)


_TABLE = _table()


def read_scalars(path: Path) -> dict[str, list[float]]:
    """Return the values of each scalar tag of an event file, in the order in which they were written."""
    scalars: dict[str, list[float]] = {}
    for place, event in _records(path):
        try:
            found = list(_scalars_of(event))
        except (IndexError, ValueError, struct.error):
            message = f"`history` {path} has a record at byte {place} that is no event of TensorBoard."
            raise SourceError(message) from None
        for tag, value in found:
            scalars.setdefault(tag, []).append(value)
    if not scalars:
        message = f"`history` {path} holds no scalar; log the loss with add_scalar or tf.summary.scalar."
        raise SourceError(message)
    return scalars


def _records(path: Path) -> Iterator[tuple[int, bytes]]:
    data = path.read_bytes()
    place = 0
    # the last record of a run that is still being written may be cut off: what is whole counts
    while place + 12 <= len(data):
        head = data[place : place + 8]
        (length,) = struct.unpack("<Q", head)
        if _masked_crc(head) != struct.unpack_from("<I", data, place + 8)[0] or length > _MOST_BYTES:
            message = f"`history` {path} is damaged, or no event file: the checksum at byte {place} does not hold."
            raise SourceError(message)
        if place + 16 + length > len(data):
            return
        body = data[place + 12 : place + 12 + length]
        if _masked_crc(body) != struct.unpack_from("<I", data, place + 12 + length)[0]:
            message = f"`history` {path} is damaged: the checksum of the record at byte {place} does not hold."
            raise SourceError(message)
        yield place, body
        place += 16 + length


def _masked_crc(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + _MASK) & 0xFFFFFFFF


def _scalars_of(event: bytes) -> Iterator[tuple[str, float]]:
    # Event.summary = 5, Summary.value = 1
    for summary in _blocks(event, 5):
        for value in _blocks(summary, 1):
            tag, number = "", None
            for field, wire, content in _fields(value):
                if (field, wire) == (1, _BYTES):
                    tag = bytes(content).decode()
                elif (field, wire) == (2, _FOUR_BYTES):  # simple_value, what PyTorch and TF 1 write
                    (number,) = struct.unpack("<f", content)
                elif (field, wire) == (8, _BYTES):  # tensor, what TF 2 writes
                    number = _scalar_tensor(content)
            if number is not None:
                yield tag, number


def _scalar_tensor(tensor: bytes) -> float | None:
    """Return the number of a float tensor with one entry, None for any other tensor."""
    kind, packed = 0, b""
    for field, wire, content in _fields(tensor):
        if (field, wire) == (1, _VARINT):
            kind = int.from_bytes(content, "little")
        elif field in (4, 5, 6):  # tensor_content; float_val; double_val, packed or alone
            packed += content
    shape = {_FLOAT: "<f", _DOUBLE: "<d"}.get(kind)
    if shape is None or len(packed) != struct.calcsize(shape):
        return None
    (number,) = struct.unpack(shape, packed)
    return float(number)


def _blocks(message: bytes, wanted: int) -> Iterator[bytes]:
    for field, wire, content in _fields(message):
        if field == wanted and wire == _BYTES:
            yield content


def _fields(message: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield field number, wire type and content of a protocol buffer; a varint as little-endian bytes."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        field, wire = key >> 3, key & 7
        if wire == _VARINT:
            number, place = _varint(message, place)
            yield field, wire, number.to_bytes(8, "little")
            continue
        if wire == _BYTES:
            length, place = _varint(message, place)
        elif wire in (_EIGHT_BYTES, _FOUR_BYTES):
            length = 8 if wire == _EIGHT_BYTES else 4
        else:
            raise ValueError(wire)
        if place + length > len(message):
            raise IndexError(place)
        yield field, wire, message[place : place + length]
        place += length


def _varint(message: bytes, place: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = message[place]
        number |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if not byte & 0x80:
            return number & 0xFFFFFFFFFFFFFFFF, place
