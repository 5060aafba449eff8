"""The structure of published splits, checked: what every entry must hold, whatever the dataset."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from oodml.errors import LadderError

KEYS = ("train", "test", "fid", "split_train", "split_val", "test_episodes")
_SCHEMA = f"a file of splits is a dictionary of split numbers, each with {', '.join(KEYS)}"

Name = str | int
Support = Mapping[Name, tuple[str, ...]]


@dataclass(frozen=True)
class Entry:
    """One split as the file has it.

    Attributes:
        file: Named in errors.
        number: Its id, from 1.
        content: The values of KEYS, of any type.
    """

    file: str
    number: int
    content: Mapping[str, object]

    def error(self, key: str, problem: str) -> LadderError:
        """An error that names the file, the split and the key."""
        return LadderError(f"{self.file}: split {self.number}: {key!r} {problem}")

    def names(self, key: str) -> list[Name]:
        """A list of class names or numbers.

        Raises:
            LadderError: If it is anything else.
        """
        return [self._name(key, name) for name in self._list(key, self.content[key])]

    @property
    def fid(self) -> float:
        """The published shift.

        Raises:
            LadderError: If it is no finite number.
        """
        value = self.content["fid"]
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < math.inf:
            raise self.error("fid", f"should be a finite number, not {_short(value)}")
        return float(value)

    def episodes(self) -> Iterator[tuple[int, int, Support | None]]:
        """Number of shots, number of the episode, and the labelled files by class.

        The files are None where the episode is a list of whole classes, as SOP's are.

        Raises:
            LadderError: If a key is no number, or a class has not as many different files as there are shots.
        """
        key = "test_episodes"
        for shots, draws in self._numbered(key, self.content[key]):
            for episode, support in self._numbered(key, draws):
                if shots < 1 or episode < 0:
                    raise self.error(key, f"has {shots} shots, episode {episode}; they count from 1 and 0")
                if isinstance(support, list | tuple):
                    yield shots, episode, None
                elif isinstance(support, dict) and support:
                    where = f"of {shots} shots, episode {episode}"
                    pairs = ((self._name(key, name), files) for name, files in support.items())
                    yield shots, episode, {name: self._files(where, shots, name, files) for name, files in pairs}
                else:
                    raise self.error(key, f"should give files by class, not {_kind(support)}")

    def _files(self, where: str, shots: int, name: Name, files: object) -> tuple[str, ...]:
        listed = self._list("test_episodes", files)
        texts = tuple(file for file in listed if isinstance(file, str))
        if len(texts) < len(listed) or len(set(texts)) != shots or len(texts) != shots:
            raise self.error(
                "test_episodes", f"{where} should list {shots} different files of {name!r}, it lists {len(listed)}"
            )
        return texts

    def _list(self, key: str, value: object) -> list[object] | tuple[object, ...]:
        if not isinstance(value, list | tuple):
            raise self.error(key, f"should be a list, not {_kind(value)}")
        return value

    def _name(self, key: str, value: object) -> Name:
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise self.error(key, f"should hold class names, not {_kind(value)}")
        return value

    def _numbered(self, key: str, value: object) -> list[tuple[int, object]]:
        if not isinstance(value, dict):
            raise self.error(key, f"should be a dictionary by number, not {_kind(value)}")
        numbers = [_number(number) for number in value]
        found = [number for number in numbers if number is not None]
        if len(found) < len(numbers) or len(set(found)) < len(found):
            raise self.error(key, "has keys that are no numbers, or the same number twice")
        return list(zip(found, value.values(), strict=True))


def check_entries(content: object, file: str) -> list[Entry]:
    """The splits of a file.

    Args:
        content: What was read.
        file: Named in errors.

    Raises:
        LadderError: If it is not a dictionary of split numbers, or if an entry lacks a key or has another.
    """
    if not isinstance(content, dict):
        raise LadderError(f"{file} has an unknown schema: it holds {_kind(content)}; {_SCHEMA}")
    entries: dict[int, Entry] = {}
    for key, entry in content.items():
        number = _number(key)
        if number is None or number in entries:
            what = "no number" if number is None else "there twice"
            raise LadderError(f"{file} has an unknown schema: the split {_short(key)} is {what}; {_SCHEMA}")
        if not isinstance(entry, dict):
            raise LadderError(f"{file} has an unknown schema: split {number} is {_kind(entry)}; {_SCHEMA}")
        lacking = [name for name in KEYS if name not in entry]
        foreign = [_short(name) for name in entry if name not in KEYS]
        if lacking or foreign:
            what = f"lacks {', '.join(lacking)}" if lacking else f"has the unknown key {foreign[0]}"
            raise LadderError(f"{file} has an unknown schema: split {number} {what}; {_SCHEMA}")
        entries[number] = Entry(file, number, entry)
    return list(entries.values())


def _number(key: object) -> int | None:
    """A key of a pickle (an integer) or of JSON (its digits); None if it is neither."""
    if isinstance(key, str) and key.isascii() and key.isdigit() and len(key) < 10:
        return int(key)
    return key if isinstance(key, int) and not isinstance(key, bool) and 0 <= key < 10**9 else None


def _kind(value: object) -> str:
    """What a value is, never the value itself: it may be endless."""
    named = {dict: "a dictionary", str: "a text", bytes: "bytes", type(None): "nothing"}
    named |= dict.fromkeys((int, float, bool), "a number")
    return named.get(type(value), f"a {type(value).__name__}")


def _short(value: object) -> str:
    return repr(value)[:80] if isinstance(value, str | int | float) else _kind(value)
