"""Options as users write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from oodml.errors import UsageError
from oodml.options import coerce, parse_pairs, parse_scalar, parse_settings, read_config
from oodml.records import Scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("0.6", 0.6),
        ("1e-4", 1e-4),
        ("true", True),
        ("False", False),
        ("none", None),
        ("same", "same"),
    ],
)
def test_texts_become_values(text: str, value: Scalar) -> None:
    parsed = parse_scalar(text)
    assert parsed == value and type(parsed) is type(value)


def test_settings_are_grouped_by_method() -> None:
    assert parse_settings(["margin.beta=0.6", "train.steps=10", "margin.beta_lr=1"]) == {
        "margin": {"beta": 0.6, "beta_lr": 1},
        "train": {"steps": 10},
    }


@pytest.mark.parametrize("text", ["beta=1", "margin.beta", ".beta=1", "margin.=1"])
def test_malformed_settings_say_how_to_write_them(text: str) -> None:
    with pytest.raises(UsageError, match="should be written as"):
        parse_settings([text])


def test_pairs_name_their_flag() -> None:
    with pytest.raises(UsageError, match="--backbone-args 'pad_type'"):
        parse_pairs(["pad_type"], "--backbone-args")


def test_values_take_the_type_of_the_default() -> None:
    assert coerce("m.x", 1, 0.5) == 1.0 and isinstance(coerce("m.x", 1, 0.5), float)
    with pytest.raises(UsageError, match=r"train.steps takes an integer such as 300, got 'many'"):
        coerce("train.steps", "many", 300)
    with pytest.raises(UsageError, match="true or false"):
        coerce("train.flip", 1, False)


def test_a_broken_config_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text("methods = [")
    with pytest.raises(UsageError, match="sweep.toml is not valid TOML"):
        read_config(path)
    with pytest.raises(UsageError, match="cannot read the config file"):
        read_config(tmp_path / "missing.toml")
