"""What a pickled numpy scalar calls to rebuild itself, in plain Python: nothing of numpy is ever called."""

from __future__ import annotations

import pickle
import re
import struct
import sys
from collections.abc import Callable

Scalar = str | int | float | bool

_NAME = re.compile(r"[<>=|]?([USifub])(\d{1,6})", re.ASCII)
_NUMBERS = {
    **{"f2": "e", "f4": "f", "f8": "d", "b1": "?"},
    **{"i1": "b", "i2": "h", "i4": "i", "i8": "q"},
    **{"u1": "B", "u2": "H", "u4": "I", "u8": "Q"},
}
_TEXTS = {"U": 4, "S": 1}  # bytes a character
_STATE_LENGTH = 8
_ORDERS = {"<": "<", ">": ">", "=": "=", "|": "="}


class StandIn:
    """A function that a pickle may name; unlike a real one it has no attributes that a pickle could set."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *arguments: object) -> object:
        """Calls the function, which checks its arguments."""
        return self._function(*arguments)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("it tries to change a function")


class Dtype:
    """Kind, width and byte order of a scalar.

    Attributes:
        kind: One of U, S (texts), i, u, f, b.
        width: Characters of a text, bytes of a number.
        order: "<", ">", or "=" for the order of this machine.
    """

    __slots__ = ("kind", "order", "width")

    def __init__(self, kind: str, width: int) -> None:
        self.kind, self.width, self.order = kind, width, "="

    def __setstate__(self, state: object) -> None:
        """Takes the byte order; fields, shapes and metadata are refused.

        Raises:
            UnpicklingError: If the state is not that of a scalar's type.
        """
        plain = isinstance(state, tuple) and len(state) == _STATE_LENGTH and state[2:5] == (None, None, None)
        order = state[1] if isinstance(state, tuple) and plain else None
        if not isinstance(order, str) or order not in _ORDERS:
            raise pickle.UnpicklingError("it holds a numpy type that is not a plain scalar's")
        self.order = _ORDERS[order]

    def decode(self, payload: bytes) -> Scalar:
        """The value whose bytes are given.

        Raises:
            UnpicklingError: If they are too few, too many or no text.

        Example:
            >>> Dtype("i", 2).decode((300).to_bytes(2, sys.byteorder))
            300
        """
        try:
            if self.kind not in _TEXTS:
                number: Scalar = struct.unpack(self.order + _NUMBERS[f"{self.kind}{self.width}"], payload)[0]
                return number
            if len(payload) != self.width * _TEXTS[self.kind]:
                raise pickle.UnpicklingError(f"it holds a text of {self.width} characters in {len(payload)} bytes")
            return payload.decode(self._codec()).rstrip("\0")
        except (struct.error, UnicodeDecodeError) as error:
            raise pickle.UnpicklingError(f"it holds a damaged numpy scalar: {error}") from error

    def _codec(self) -> str:
        if self.kind == "S":
            return "utf-8"
        little = self.order == "<" or (self.order == "=" and sys.byteorder == "little")
        return "utf-32-le" if little else "utf-32-be"


def _dtype(name: object, *flags: object) -> Dtype:
    """Stands in for numpy.dtype("U5", align, copy)."""
    found = _NAME.fullmatch(name) if isinstance(name, str) else None
    if not found or not all(isinstance(flag, int) for flag in flags):
        raise pickle.UnpicklingError("it asks for a numpy type in an unknown way")
    kind, width = found[1], int(found[2])
    if kind not in _TEXTS and f"{kind}{width}" not in _NUMBERS:
        raise pickle.UnpicklingError(
            f"it holds a numpy scalar of the type {kind}{width}, which no file of splits needs"
        )
    return Dtype(kind, width)


def _scalar(dtype: object, payload: object) -> Scalar:
    """Stands in for numpy's `scalar`, but returns a plain text or number."""
    if isinstance(payload, str):  # bytes as Python 2 wrote them
        payload = payload.encode("latin-1")
    if not isinstance(dtype, Dtype) or not isinstance(payload, bytes):
        raise pickle.UnpicklingError("it holds a numpy scalar that is neither a text nor a number")
    return dtype.decode(payload)


def _encode(text: object, codec: object) -> bytes:
    """Stands in for codecs.encode, by which the protocols 0 to 2 write bytes."""
    if not isinstance(text, str) or codec != "latin1":
        raise pickle.UnpicklingError("it encodes something else than bytes")
    return text.encode("latin-1")


STAND_INS = {
    ("numpy", "dtype"): StandIn(_dtype),
    ("numpy.core.multiarray", "scalar"): StandIn(_scalar),
    ("numpy._core.multiarray", "scalar"): StandIn(_scalar),
    ("_codecs", "encode"): StandIn(_encode),
}
"""What stands in for each of the names that pickled numpy scalars refer to; all other names are refused."""
