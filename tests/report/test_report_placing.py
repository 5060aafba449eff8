"""Labels beside the ends of curves."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from oodml.report.placing import spread_out

ROOM = st.lists(st.floats(0, 10), max_size=30)


def test_labels_with_room_stay_where_they_want_to_be() -> None:
    assert spread_out([5.0, 1.0, 3.0], 0.5, 0, 10) == [5.0, 1.0, 3.0]


def test_close_labels_share_the_space_around_their_mean() -> None:
    assert spread_out([5.0, 5.0, 5.0], 1.0, 0, 10) == [4.0, 5.0, 6.0]


def test_labels_are_pushed_back_inside() -> None:
    assert spread_out([0.0, 0.0], 1.0, 0, 10) == [0.0, 1.0]
    assert spread_out([10.0, 10.0], 1.0, 0, 10) == [9.0, 10.0]


def test_labels_that_cannot_fit_shrink_their_gap() -> None:
    assert spread_out([1.0, 1.0, 1.0], 5.0, 0, 4) == [0.0, 2.0, 4.0]


@given(ROOM)
def test_gap_order_and_bounds_hold(wanted: list[float]) -> None:
    placed = spread_out(wanted, 0.25, 0, 10)
    assert all(-1e-9 <= place <= 10 + 1e-9 for place in placed)
    for (a, at), (b, bt) in itertools.combinations(zip(wanted, placed, strict=True), 2):
        assert abs(at - bt) >= 0.25 - 1e-9
        assert a == b or (a < b) == (at < bt)


@given(st.lists(st.floats(0, 10), min_size=2, max_size=5))
def test_no_arrangement_in_order_is_nearer(wanted: list[float]) -> None:
    # Without bounds the blocks are the least-squares answer: moving any one label by a little costs more.
    placed = spread_out(wanted, 1.0, -100, 100)
    cost = sum((p - w) ** 2 for p, w in zip(placed, wanted, strict=True))
    for i, step in itertools.product(range(len(wanted)), (-1e-3, 1e-3)):
        moved = [p + step * (k == i) for k, p in enumerate(placed)]
        ordered = sorted(moved)
        if all(b - a >= 1 - 1e-9 for a, b in itertools.pairwise(ordered)):
            assert sum((p - w) ** 2 for p, w in zip(moved, wanted, strict=True)) >= cost - 1e-9
