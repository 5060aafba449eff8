"""Few-shot episodes: distinct images of every class, independent draws, a query left over."""

from __future__ import annotations

from collections import Counter

import pytest

from oodml.errors import LadderError
from oodml.splits.episodes import draw_episodes

IMAGES = {name: [f"{name}/{row:02d}" for row in range(12)] for name in ("cat", "dog", "owl")}


def test_every_class_gets_distinct_images_of_its_own() -> None:
    drawn = draw_episodes(4, ("data", 0), ["owl", "cat"], IMAGES)
    assert [(e.level, e.shots, e.episode) for e in drawn] == [(4, k, n) for k in (2, 5, 10) for n in range(10)]
    for episode in drawn:
        assert list(episode.support) == ["cat", "owl"]
        for name, images in episode.support.items():
            assert len(set(images)) == episode.shots
            assert set(images) <= set(IMAGES[name])


def test_a_query_stays_for_every_class() -> None:
    images = {"many": list("abcdefghijk"), "five": list("abcde"), "two": list("ab"), "one": ["a"]}
    drawn = draw_episodes(0, (0,), list(images), images, episodes=1)
    assert [list(episode.support) for episode in drawn] == [["five", "many"], ["many"], ["many"]]
    assert draw_episodes(0, (0,), ["one", "two"], images, shots=(2,), episodes=3) == []


def test_draws_do_not_depend_on_order_level_or_other_shots() -> None:
    first = draw_episodes(0, ("data", 0), ["cat", "dog"], IMAGES, shots=(5,))
    shuffled = {name: images[::-1] for name, images in IMAGES.items()}
    other = draw_episodes(1, ("data", 0), ["dog", "cat"], shuffled, shots=(2, 5))
    assert [e.support for e in first] == [e.support for e in other if e.shots == 5]
    assert [e.support for e in first] != [
        e.support for e in draw_episodes(0, ("data", 1), ["cat", "dog"], IMAGES, shots=(5,))
    ]


def test_episodes_differ_and_shots_are_not_nested() -> None:
    drawn = draw_episodes(0, ("data", 0), ["cat"], IMAGES, shots=(2, 5), episodes=20)
    supports = [episode.support["cat"] for episode in drawn]
    assert len({s for s in supports if len(s) == 5}) >= 18
    pairs = zip(supports[:20], supports[20:], strict=True)
    assert not all(set(two) <= set(five) for two, five in pairs)


def test_images_are_drawn_uniformly() -> None:
    drawn = draw_episodes(0, (7,), ["cat", "dog"], IMAGES, shots=(3,), episodes=800)
    counts = Counter(image for episode in drawn for image in episode.support["dog"])
    # 2400 draws of 12 images: 200 each, binomial deviation sqrt(800 * 1/4 * 3/4) = 12.2
    assert set(counts) == set(IMAGES["dog"])
    assert all(abs(count - 200) < 5 * 12.3 for count in counts.values())


def test_bad_input_is_named() -> None:
    with pytest.raises(LadderError, match="no images are known of the test class 'emu'"):
        draw_episodes(0, (0,), ["cat", "emu"], IMAGES)
    with pytest.raises(LadderError, match="'cat' occurs twice"):
        draw_episodes(0, (0,), ["cat"], {"cat": ["a", "b", "a"]})
    with pytest.raises(LadderError, match="shots must be at least 1"):
        draw_episodes(0, (0,), ["cat"], IMAGES, shots=(2, 0))
