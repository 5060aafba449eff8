"""Reads a pickle that holds plain data and refuses any that asks for more: no foreign code is called."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

from oodml.errors import LadderError
from oodml.splits.numpy_scalars import STAND_INS
from oodml.splits.pickle_outline import objection

_HOLDS = "such a file holds only lists, tuples, dictionaries, texts, numbers and numpy scalars"


def load_pickle(data: bytes, source: Path | str) -> object:
    """The lists, dictionaries, texts and numbers of a pickle; numpy scalars become plain ones.

    Reads the protocols 0 to 5, scalars of numpy 1 and 2. The names that numpy scalars refer to are replaced by
    functions of our own, all others are refused, so that a pickle cannot call anything.

    Args:
        data: The pickle.
        source: Its file, named in errors.

    Raises:
        LadderError: If it is damaged, or asks for anything but plain data.

    Example:
        >>> load_pickle(pickle.dumps({1: ["a", 2.5]}), "splits.pkl")
        {1: ['a', 2.5]}
    """
    try:
        objected = objection(data)
        if objected:
            raise _refused(source, objected)
        return _PlainUnpickler(data, source).load()
    except LadderError:
        raise
    except Exception as error:  # damaged pickles raise nearly anything, from IndexError to MemoryError
        raise LadderError(
            f"{source} is not a readable pickle of splits (cut short?): "
            f"{_printable(str(error)) or type(error).__name__}; get the file again"
        ) from error


class _PlainUnpickler(pickle.Unpickler):
    def __init__(self, data: bytes, source: Path | str) -> None:
        super().__init__(io.BytesIO(data), encoding="latin1")  # the bytes of Python 2 are texts of these
        self.source = source

    def find_class(self, module: str, name: str, /) -> object:
        if (module, name) not in STAND_INS:
            raise _refused(self.source, f"asks to load {_printable(f'{module}.{name}')}")
        return STAND_INS[module, name]


def _refused(source: Path | str, what: str) -> LadderError:
    return LadderError(f"{source} {what}: refused, nothing was run; {_HOLDS}")


def _printable(text: str) -> str:
    """A text from the file without what would control a terminal or bury the message."""
    return text.encode("unicode_escape").decode()[:200]
