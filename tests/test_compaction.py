"""Packed run files: the same rows before, meanwhile and after, whatever is stopped or broken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import oodml
from oodml import results, schema, store
from oodml.app import app
from oodml.compaction import keep_packed
from oodml.datasets import load_dataset
from oodml.errors import NewerFileError, ResultsError, StorageError
from oodml.make_splits import ladder_from_dataset
from oodml.parts import ADAPTED, PARTS, RUNS, packed_statuses, part_files
from oodml.records import Ladder
from oodml.results import ResultsWarning, write_run
from oodml.sweep import SweepResult
from oodml.sweep_folder import statuses

TRAIN = {"steps": 3, "batch_size": 16, "per_class": 4, "embedding_dim": 6}


def rows(run_id: str, value: float = 0.5, status: str = "done", **columns: Any) -> list[dict[str, Any]]:
    if status != "done":
        return [{"run_id": run_id, "status": status, "error": "why", **columns}]
    return [{"run_id": run_id, "metric": m, "value": value, "status": status, **columns} for m in ("a", "b")]


def write(sweep: Path, run_id: str, **values: Any) -> None:
    write_run(sweep / RUNS / f"{run_id}.parquet", rows(run_id, **values))


def frame(sweep: Path) -> pd.DataFrame:
    return oodml.read_runs(sweep).sort_values(["run_id", "setting", "metric"], ignore_index=True)


def filled(sweep: Path) -> Path:
    write(sweep, "one")
    write(sweep, "two", status="failed")
    unit = rows("one", 0.75, setting="few_shot", shots=2, adapter="linear", episode=0)
    write_run(sweep / ADAPTED / "unit.parquet", unit)
    return sweep


def files(sweep: Path) -> list[str]:
    return sorted(str(path.relative_to(sweep)) for path in sweep.rglob("*.parquet"))


def test_packed_files_hold_the_same_rows_in_one_file(tmp_path: Path) -> None:
    before = frame(filled(tmp_path))
    done = oodml.compact(tmp_path)
    assert (done.packed, done.left) == (3, ())
    assert done.path is not None and files(tmp_path) == [str(done.path.relative_to(tmp_path))]
    pd.testing.assert_frame_equal(frame(tmp_path), before)
    assert list(oodml.read_runs(tmp_path).columns) == schema.RUN.names
    assert statuses(tmp_path, RUNS, ["one", "two", "three"]) == {"one": ("done", ""), "two": ("failed", "why")}
    assert statuses(tmp_path, ADAPTED, ["unit", "one"]) == {"unit": ("done", "")}
    again = oodml.compact(tmp_path)
    assert (again.path, again.packed) == (done.path, 0)


def test_a_part_is_read_without_oodml_and_by_itself(tmp_path: Path) -> None:
    part = oodml.compact(filled(tmp_path)).path
    assert part is not None
    plain = pd.read_parquet(part)
    assert sorted(set(plain["file"])) == ["adapted/unit", "runs/one", "runs/two"]
    assert list(oodml.read_runs(part).columns) == schema.RUN.names


def test_a_file_of_its_own_goes_before_the_part(tmp_path: Path) -> None:
    oodml.compact(filled(tmp_path))
    write(tmp_path, "two", value=0.25)
    write(tmp_path, "three")
    assert statuses(tmp_path, RUNS, ["two"]) == {"two": ("done", "")}
    before = frame(tmp_path)
    assert before.query("run_id == 'two'")["value"].tolist() == [0.25, 0.25]
    done = oodml.compact(tmp_path)
    assert done.packed == 2 and len(files(tmp_path)) == 1
    pd.testing.assert_frame_equal(frame(tmp_path), before)


def test_the_same_runs_give_the_same_bytes_in_whatever_steps_they_were_packed(tmp_path: Path) -> None:
    at_once, in_steps = filled(tmp_path / "at_once"), tmp_path / "in_steps"
    write(in_steps, "two", status="failed")
    oodml.compact(in_steps)
    filled(in_steps)
    paths = [oodml.compact(folder).path for folder in (at_once, in_steps)]
    assert paths[0] and paths[1] and paths[0].name == paths[1].name
    assert paths[0].read_bytes() == paths[1].read_bytes()


@given(stop=st.integers(0, 5), packed_before=st.sets(st.sampled_from("abcd")), renewed=st.sets(st.sampled_from("abcd")))
def test_stopped_anywhere_every_run_counts_once_with_its_newest_value(
    tmp_path_factory: pytest.TempPathFactory, stop: int, packed_before: set[str], renewed: set[str]
) -> None:
    sweep = tmp_path_factory.mktemp("sweep")
    (sweep / RUNS).mkdir()
    for name in sorted(packed_before):
        write(sweep, name, value=0.1)
    oodml.compact(sweep)
    for name in sorted(renewed):
        write(sweep, name, value=0.2)
    expected = {name: 0.2 if name in renewed else 0.1 for name in packed_before | renewed}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "unlink", _stopping(stop))
        with suppress(KeyboardInterrupt):
            oodml.compact(sweep)
    for _ in range(2):  # as it was left, and after a start that goes through
        runs = oodml.read_runs(sweep)
        assert dict(zip(runs["run_id"], runs["value"], strict=True)) == expected
        assert len(runs) == 2 * len(expected)
        oodml.compact(sweep)
    assert len(files(sweep)) == min(1, len(expected))


def _stopping(after: int) -> Any:
    """`Path.unlink`, interrupted at the removal of a Parquet file after so many of them."""
    unlink, left = Path.unlink, [after]

    def stop(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == ".parquet":
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
        unlink(path, missing_ok=missing_ok)

    return stop


@given(steps=st.lists(st.tuples(st.sampled_from("abcdefghij"), st.booleans()), max_size=25))
def test_a_sweep_that_packs_as_it_goes_holds_the_newest_rows_of_every_run_in_few_files(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, bool]]
) -> None:
    sweep = tmp_path_factory.mktemp("sweep")
    (sweep / RUNS).mkdir()
    expected: dict[str, float] = {}

    def outcomes() -> Iterator[int]:
        for number, (name, stops) in enumerate(steps):
            if stops:
                return
            write(sweep, name, value=number)
            expected[name] = number
            yield number

    left = list(steps)
    while left:  # every start goes on where the one before stopped
        steps = left
        done = list(keep_packed(outcomes(), sweep, most=2))
        left = left[len(done) + 1 :]
        assert len(list((sweep / RUNS).iterdir())) <= 2
        runs = oodml.read_runs(sweep)
        assert dict(zip(runs["run_id"], runs["value"], strict=True)) == expected
        assert len(runs) == 2 * len(expected)


def test_a_reader_misses_nothing_while_files_are_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = frame(filled(tmp_path))
    run_files = results._run_files
    replaced: list[Path] = []

    def packed_once_listed(sweep: Path) -> list[Path]:
        found = run_files(sweep)
        oodml.compact(sweep)
        return found

    def replaced_once_listed(sweep: Path) -> list[Path]:
        found = part_files(sweep)
        if not replaced:
            replaced.extend(found)
            write(sweep, "zero")
            oodml.compact(sweep)
        return found

    monkeypatch.setattr(results, "_run_files", packed_once_listed)
    monkeypatch.setattr("oodml.results.part_files", replaced_once_listed)
    after = frame(tmp_path)
    assert len(replaced) == 1 and not replaced[0].exists()
    assert set(after["run_id"]) == {"zero", "one", "two"}
    pd.testing.assert_frame_equal(after.query("run_id != 'zero'").reset_index(drop=True), before)


def test_files_that_cannot_be_read_stay_and_are_named(tmp_path: Path) -> None:
    broken = filled(tmp_path) / RUNS / "two.parquet"
    broken.write_bytes(broken.read_bytes()[:100])
    done = oodml.compact(tmp_path)
    assert done.packed == 2 and "two.parquet" in done.left[0]
    assert broken.exists() and len(files(tmp_path)) == 2


def test_a_broken_part_is_refused_by_sweeps_and_left_out_by_readers(tmp_path: Path) -> None:
    part = oodml.compact(filled(tmp_path)).path
    assert part is not None
    part.write_bytes(part.read_bytes()[:200])
    write(tmp_path, "three")
    with pytest.raises(ResultsError, match=part.name):
        packed_statuses(tmp_path)
    with pytest.raises(ResultsError, match=part.name):
        oodml.compact(tmp_path)
    assert (tmp_path / RUNS / "three.parquet").exists()
    with pytest.warns(ResultsWarning, match=part.name):
        assert set(oodml.read_runs(tmp_path)["run_id"]) == {"three"}


def test_files_of_a_newer_version_are_not_touched(tmp_path: Path) -> None:
    newer = filled(tmp_path) / RUNS / "two.parquet"
    metadata = {"oodml_kind": "run", "oodml_schema": "99"}
    store.write_table(newer, store.read_table(newer, schema.RUN).replace_schema_metadata(metadata))
    with pytest.raises(NewerFileError, match="schema version 99"):
        oodml.compact(tmp_path)
    assert len(files(tmp_path)) == 3


def test_nothing_is_removed_if_the_part_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, table: Any) -> None:
        raise StorageError(f"no space left while writing {path}")

    before = files(filled(tmp_path))
    monkeypatch.setattr(store, "write_table", full)
    with pytest.raises(StorageError):
        oodml.compact(tmp_path)
    assert files(tmp_path) == before


def test_a_sweep_that_runs_keeps_its_files(tmp_path: Path) -> None:
    filled(tmp_path)
    with FileLock(tmp_path / "sweep.lock"), pytest.raises(ResultsError, match="another sweep is writing"):
        oodml.compact(tmp_path)
    assert len(files(tmp_path)) == 3


def test_the_command_says_what_it_did(tmp_path: Path) -> None:
    filled(tmp_path / "a")
    result = CliRunner().invoke(app, ["compact", str(tmp_path / "a")])
    assert result.exit_code == 0 and "3 files packed into" in result.output
    assert "nothing to pack" in CliRunner().invoke(app, ["compact", str(tmp_path / "a")]).output
    wrong = CliRunner().invoke(app, ["compact", str(tmp_path / "nowhere")])
    assert wrong.exit_code == 2 and "holds no runs" in wrong.output


@pytest.fixture(scope="module")
def ladder(vectors_file: Path) -> Ladder:
    spec = f"embeddings:{vectors_file}"
    return ladder_from_dataset(load_dataset(spec), spec, levels=2, episodes=2, null_draws=5)


def test_a_packed_sweep_goes_on_and_adapts_without_repeating_anything(ladder: Ladder, tmp_path: Path) -> None:
    def sweep(**options: Any) -> SweepResult:
        asked = {"methods": ["frozen", "margin"], "seeds": [0], "workers": 1, "shots": [2], "adapters": ["prototypes"]}
        return oodml.run_sweep(ladder, out=tmp_path, settings={"train": TRAIN}, **{**asked, **options})

    sweep()
    before = oodml.read_runs(tmp_path)
    oodml.compact(tmp_path)
    again = sweep()
    assert again.already == again.planned == 4 and not again.outcomes and not again.failures
    assert not list((tmp_path / RUNS).iterdir()) and not list((tmp_path / ADAPTED).iterdir())
    grown = sweep(seeds=[0, 1], shots=[])
    assert grown.outcomes == {"done": 2}  # frozen vectors need one seed
    after = oodml.read_runs(tmp_path)
    old = after[after["run_id"].isin(before["run_id"])]
    key = ["run_id", "setting", "adapter", "episode", "metric"]
    old, before = (runs.sort_values(key, ignore_index=True) for runs in (old, before))
    pd.testing.assert_frame_equal(old, before)
    assert (tmp_path / PARTS).is_dir() and len(list((tmp_path / RUNS).iterdir())) == 2
