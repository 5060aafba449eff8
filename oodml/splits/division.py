"""Divisions of class names: the default one, the validation classes, and the hash that names a division."""

from __future__ import annotations

import math
from collections.abc import Sequence

from oodml.errors import LadderError
from oodml.records import content_hash
from oodml.seeds import numpy_generator

MIN_CLASSES = 8
MIN_PER_SIDE = 4
Sides = tuple[Sequence[str], Sequence[str]]


def division_hash(train: Sequence[str], test: Sequence[str]) -> str:
    """Names a division by its classes, whatever their order."""
    return content_hash([sorted(train), sorted(test)])


def initial_division(
    names: Sequence[str], initial: str | Sides, *seed_parts: str | int, share: float = 0.5
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The default division: (training classes, test classes), each sorted.

    Args:
        names: All class names.
        initial: "sorted" (the first part in order of name trains, as in the published sets), "random" (a
            random part), or (train, test).
        seed_parts: Name the random part.
        share: Part of the classes that trains, rounded up.

    Raises:
        LadderError: If there are fewer than 8 classes, or explicit sides overlap, repeat, leave out or invent
            a class, or are smaller than 4 classes.
    """
    ordered = sorted(names)
    if len(ordered) < MIN_CLASSES:
        raise LadderError(f"a ladder needs at least {MIN_CLASSES} classes, got {len(ordered)}")
    if isinstance(initial, str):
        if initial not in ("sorted", "random"):
            raise LadderError(f"unknown initial division {initial!r}; use 'sorted', 'random' or (train, test)")
        half = _size(len(ordered), share)
        if initial == "random":
            order = numpy_generator(*seed_parts, "initial division").permutation(len(ordered))
            ordered = [ordered[place] for place in order]
        return tuple(sorted(ordered[:half])), tuple(sorted(ordered[half:]))
    train, test = tuple(sorted(initial[0])), tuple(sorted(initial[1]))
    _check_sides(set(ordered), train, test)
    return train, test


def _size(classes: int, share: float) -> int:
    """Training classes of a share of all."""
    size = math.ceil(share * classes - 1e-9) if 0 < share < 1 else 0
    if min(size, classes - size) < MIN_PER_SIDE:
        raise LadderError(
            f"sides={share:g} gives {size} training and {classes - size} test classes of {classes}; both sides need at "
            f"least {MIN_PER_SIDE}, and sides is the share that trains, between 0 and 1"
        )
    return size


def _check_sides(known: set[str], train: tuple[str, ...], test: tuple[str, ...]) -> None:
    given = [*train, *test]
    unknown, missing = sorted(set(given) - known), sorted(known - set(given))
    if unknown:
        raise LadderError(f"the initial division names the class {unknown[0]!r}, which has no class mean")
    if missing:
        raise LadderError(f"the initial division leaves out {missing[0]!r} ({len(missing)} in all)")
    repeated = [name for name in given if given.count(name) > 1] if len(given) > len(known) else []
    if repeated:
        raise LadderError(f"the initial division has {repeated[0]!r} twice; every class belongs to one side")
    if min(len(train), len(test)) < MIN_PER_SIDE:
        raise LadderError(
            f"the initial division has {len(train)} training and {len(test)} test classes; "
            f"both sides need at least {MIN_PER_SIDE}"
        )


def validation_classes(train: Sequence[str], fraction: float, *seed_parts: str | int) -> tuple[str, ...]:
    """A random part of the training classes for selection, in their order.

    floor((1 - fraction) * n) classes stay for training, as in the published files (98 classes: 73 and 25).

    Raises:
        LadderError: If the fraction is not in [0, 1) or leaves no training class.
    """
    kept = math.floor((1 - fraction) * len(train) + 1e-9) if 0 <= fraction < 1 else 0
    if kept < 1:
        raise LadderError(f"val_fraction must be in [0, 1) and leave a training class, got {fraction}")
    chosen = numpy_generator(*seed_parts, "validation classes").permutation(len(train))[kept:]
    return tuple(train[place] for place in sorted(chosen))
