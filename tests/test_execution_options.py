"""Where runs execute, as users say it: what is passed on, and what is refused before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from oodml.adapting import AdaptOptions
from oodml.app import app
from oodml.errors import UnknownNameError, UsageError
from oodml.execution_options import check_places
from oodml.executors.places import Places
from oodml.prepared_sweep import SweepOptions
from oodml.records import Ladder
from oodml.splits import make_ladder
from oodml.sweep_config import parse_memory, sweep_options


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8GiB", 8 * 2**30),
        ("1.5 gib", 3 * 2**29),
        ("500MB", 500_000_000),
        ("2kb", 2000),
        ("1TiB", 2**40),
        ("123", 123),
        (4096, 4096),
        ("7 B", 7),
    ],
)
def test_memory_is_read_with_its_unit(text: str | int, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["8QiB", "much", "-1GiB", "0", "", "1.2.3GB", "0.1", "8 G iB"])
def test_what_is_no_memory_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--memory-per-run .* should be an amount such as 8GiB"):
        parse_memory(text)


def test_places_that_can_be_meant_pass() -> None:
    check_places(Places())
    check_places(Places(executor="ray", ray_address="auto", gpus_per_run=0.5, memory_per_run=2**30))


@pytest.mark.parametrize(
    ("places", "match"),
    [
        ({"ray_address": "auto"}, "--ray-address auto is for a cluster; add --executor ray"),
        ({"memory_per_run": 5}, "--memory-per-run 5 is for a cluster"),
        ({"gpus_per_run": 0.5}, "--gpus-per-run 0.5 is for a cluster"),
        ({"executor": "ray", "gpus_per_run": -1.0}, "--gpus-per-run -1 should be 0 or more"),
    ],
)
def test_places_that_cannot_be_meant_are_refused(places: dict[str, Any], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        check_places(Places(**places))
    with pytest.raises(UnknownNameError, match="unknown executor 'rya'; did you mean 'ray'"):
        check_places(Places(executor="rya"))


@pytest.mark.parametrize("kind", [SweepOptions, AdaptOptions])
def test_options_say_where_the_jobs_run(kind: type[SweepOptions] | type[AdaptOptions]) -> None:
    assert kind().places == Places()
    asked = {"executor": "ray", "workers": 3, "threads": 2, "timeout": 9.0, "ray_address": "auto"}
    asked |= {"gpus_per_run": 0.25, "memory_per_run": 77}
    assert kind(**asked).places == Places(**asked)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def ladder() -> Ladder:
    import numpy as np

    means = np.random.default_rng(0).normal(size=(24, 4))
    return make_ladder(means, [f"c{i:02d}" for i in range(24)], levels=3, dataset="glyphs")


def test_a_file_says_the_same_as_flags(ladder: Ladder, tmp_path: Path) -> None:
    (tmp_path / "sweep.toml").write_text(
        'executor = "ray"\nray_address = "auto"\ngpus_per_run = 0.5\nmemory_per_run = "2GiB"\n'
        'trackers = ["wandb", "mlflow,wandb"]\n'
    )
    by_file = sweep_options(ladder, {}, [], tmp_path / "sweep.toml")
    flags = {"executor": "ray", "ray_address": "auto", "gpus_per_run": 0.5, "memory_per_run": "2GiB"}
    by_flags = sweep_options(ladder, {**flags, "trackers": ["wandb", "mlflow"]}, [], None)
    assert by_file == by_flags
    assert by_file.places.memory_per_run == 2**31 and by_file.trackers == ("wandb", "mlflow")


@pytest.mark.parametrize("command", ["sweep", "adapt"])
def test_a_mistake_ends_the_command_before_anything_is_written(
    command: str, tmp_path: Path, vectors_file: Path
) -> None:
    splits, out = tmp_path / "splits", tmp_path / "out"
    runner = CliRunner()
    made = ["make-splits", f"embeddings:{vectors_file}", "--levels", "2", "--episodes", "1", "--out", str(splits)]
    assert runner.invoke(app, made).exit_code == 0
    arguments = ["sweep", str(splits), "--out", str(out)]
    if command == "adapt":
        out.mkdir()
        splits.rename(out / "ladder")
        arguments = ["adapt", str(out)]
    before = sorted(tmp_path.rglob("*"))
    for flags, message in (
        (["--executor", "rya"], "unknown executor 'rya'; did you mean 'ray'?"),
        (["--ray-address", "auto"], "add --executor ray"),
        (["--memory-per-run", "much"], "--memory-per-run 'much'"),
        (["--tracker", "wndb"], "unknown tracker 'wndb'"),
    ):
        result = runner.invoke(app, [*arguments, *flags])
        assert result.exit_code == 2 and message in " ".join(result.output.split()), result.output
    assert sorted(tmp_path.rglob("*")) == before
