"""Published splits as a ladder, and a ladder in their structure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from oodml.errors import LadderError
from oodml.records import Episode, Ladder, Level
from oodml.splits.published_entries import Entry, Name, Support
from oodml.splits.published_file import PublishedSplits
from oodml.splits.published_view import DatasetView

DEFAULT_SPLITS = {"cub200": 3, "cars196": 1, "sop": 1}
"""Number of the split that the literature uses, by dataset."""

EMBEDDER = {
    "name": "resnet50.tv_in1k",
    "weights": "pretrained:tv_in1k",
    "args": "{}",
    "image_size": 224,
    "resize": 256,
    "fit": "crop",
}
"""The untrained network whose class means the study measured its shifts with."""

_ORIGIN = "published "


def ladder_from_published(published: PublishedSplits, view: DatasetView, *, name: str) -> Ladder:
    """Turns published splits into a ladder of the dataset at hand.

    A level's training classes keep the order of `train`, its shift is the published one.
    Episodes of whole classes (SOP) are left out and noted in `generator["notes"]`.

    Args:
        published: The splits of a file.
        view: The classes and images of the dataset.
        name: Name of the ladder.

    Raises:
        LadderError: If a value is not what its key promises, sides overlap, shifts do not rise, or a class or image
            is not in the dataset; names the split and what is wrong.
    """
    entries = sorted(published.entries, key=lambda entry: entry.fid)
    _check_shifts(entries, published.path)
    levels = tuple(_level(index, entry, entries, view) for index, entry in enumerate(entries))
    notes: list[str] = []
    drawn = [_episodes(level, entry, view, notes) for level, entry in zip(levels, entries, strict=True)]
    return Ladder(
        name=name,
        dataset=view.spec,
        dataset_options=dict(view.options),
        dataset_hash=view.content_hash,
        embedder=dict(EMBEDDER) if view.spec in DEFAULT_SPLITS else {},
        distance="fid",
        generator={"name": "published", "file": published.path.name, "sha256": published.digest, "notes": notes},
        levels=levels,
        trace=tuple((level.origin, level.shift) for level in levels),
        episodes=tuple(episode for of_level in drawn for episode in of_level),
        skipped=view.skipped,
    )


def to_published(ladder: Ladder) -> dict[str, Any]:
    """A ladder in the structure of the published splits, with keys as JSON has them.

    The splits keep the numbers that they were published under; those of a ladder of our own count from 1. The
    null shifts, references and names of the levels have no place in it.
    """
    numbers = [level.origin.removeprefix(_ORIGIN) for level in ladder.levels]
    if not all(level.origin.startswith(_ORIGIN) for level in ladder.levels):
        numbers = [str(level.index + 1) for level in ladder.levels]
    return {number: _entry(level, ladder.episodes) for number, level in zip(numbers, ladder.levels, strict=True)}


def _entry(level: Level, episodes: Sequence[Episode]) -> dict[str, Any]:
    held_out, draws = set(level.val), dict[str, dict[str, Any]]()
    for episode in episodes:
        if episode.level == level.index:
            support = {name: list(images) for name, images in episode.support.items()}
            draws.setdefault(str(episode.shots), {})[str(episode.episode)] = support
    return {
        "train": list(level.train),
        "test": list(level.test),
        "fid": level.shift if level.published_shift is None else level.published_shift,
        "split_train": [name for name in level.train if name not in held_out],
        "split_val": list(level.val),
        "test_episodes": draws,
    }


def _check_shifts(entries: Sequence[Entry], file: Path) -> None:
    if len(entries) < 2:
        raise LadderError(f"{file} holds {len(entries)} splits; a ladder needs at least two")
    for before, after in pairwise(entries):
        if after.fid <= before.fid:
            raise LadderError(
                f"{file}: the splits {before.number} and {after.number} have the same fid {after.fid:g}; a ladder "
                "needs shifts that rise, leave one of them out"
            )


def _level(index: int, entry: Entry, entries: Sequence[Entry], view: DatasetView) -> Level:
    low, high = entries[0].fid, entries[-1].fid
    rest, val = (_classes(entry, key, view) for key in ("split_train", "split_val"))
    train, test = (_classes(entry, key, view) for key in ("train", "test"))
    for key, names, others in (("test", test, train), ("split_val", val, rest)):
        both = set(names) & set(others)
        if both:
            raise entry.error(key, f"shares {len(both)} classes with the classes that train, such as {min(both)!r}")
    unequal = {*rest, *val} ^ set(train)
    if unequal:
        raise entry.error("split_train", f"and 'split_val' are not the classes of 'train': {min(unequal)!r} differs")
    if not rest or not test:
        raise entry.error("test" if rest else "split_train", "is empty")
    default = DEFAULT_SPLITS.get(view.spec) == entry.number
    return Level(
        index=index,
        name="default" if default else f"level_{index}",
        shift=entry.fid,
        shift_scaled=(entry.fid - low) / (high - low),
        null_mean=math.nan,
        null_std=math.nan,
        reference={},
        train=train,
        test=test,
        val=val,
        origin=f"{_ORIGIN}{entry.number}",
        published_shift=entry.fid,
    )


def _classes(entry: Entry, key: str, view: DatasetView) -> tuple[str, ...]:
    names = _known(entry, key, entry.names(key), view)
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise entry.error(key, f"names {len(repeated)} classes twice, such as {repeated[0]!r}")
    return names


def _known(entry: Entry, key: str, given: Sequence[Name], view: DatasetView) -> tuple[str, ...]:
    """The classes that go by the given names; raises LadderError if the dataset lacks one."""
    found = [(name, view.class_name(name)) for name in given]
    unknown = [name for name, known in found if known is None]
    if unknown:
        raise entry.error(key, f"names {len(unknown)} classes {_absent(unknown[0], view)}")
    return tuple(known for _, known in found if known is not None)


def _absent(name: Name, view: DatasetView) -> str:
    text = f"that dataset {view.spec!r} does not have, such as {name!r}"
    if str(name).isdigit():
        lists = "" if view.aliases else ", which are not there"
        return f"{text}; numbers are looked up in the class lists that come with the set{lists}"
    near = view.closest(str(name))
    return f"{text}; did you mean {near!r}?" if near else f"{text}; check --dataset"


def _episodes(level: Level, entry: Entry, view: DatasetView, notes: list[str]) -> list[Episode]:
    drawn, left_out = [], 0
    for shots, number, support in entry.episodes():
        if support is None:
            left_out += 1
        else:
            drawn.append(Episode(level.index, shots, number, _support(level, entry, support, view)))
    if left_out:
        notes.append(f"split {entry.number}: left out {left_out} episodes that list whole classes, not images")
    return drawn


def _support(level: Level, entry: Entry, support: Support, view: DatasetView) -> dict[str, tuple[str, ...]]:
    key = "test_episodes"
    classes = _known(entry, key, list(support), view)
    if len(set(classes)) < len(classes):
        raise entry.error(key, "names a class twice in one episode")
    stray = set(classes) - set(level.test)
    if stray:
        raise entry.error(key, f"draws from {len(stray)} classes that are not in 'test', such as {min(stray)!r}")
    matched, unmatched = dict[str, tuple[str, ...]](), list[str]()
    for name, files in zip(classes, support.values(), strict=True):
        ids = [view.image_id(name, file) for file in files]
        unmatched += [f"{file!r} of {name!r}" for file, found in zip(files, ids, strict=True) if found is None]
        matched[name] = tuple(found for found in ids if found is not None)
    if unmatched:
        raise entry.error(
            key,
            f"names {len(unmatched)} images in one episode that dataset {view.spec!r} does not have or has twice, such "
            f"as {unmatched[0]}; place the set in the layout that the splits were made for, CLASS/FILE",
        )
    return matched
