"""`oodml import-splits` and `oodml export-splits` as a user meets them."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from official_splits import CARS, cars_splits, place_cars, place_sop, sop_splits
from typer.testing import CliRunner, Result

from oodml.app import app
from oodml.splits import load_ladder


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def fails(message: str, *arguments: object) -> None:
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    flat = " ".join(result.output.split())
    assert message in flat, flat


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small sets of the same layout as the real ones."""
    return place_sop(place_cars(tmp_path_factory.mktemp("data")))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "CARS196_splits.pkl"
    path.write_bytes(pickle.dumps(cars_splits()))
    return path


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_pickle_becomes_a_ladder_and_json_and_the_same_ladder(root: Path, file: Path) -> None:
    result = call("import-splits", file, "--dataset", "cars196", "--root", root)
    assert result.exit_code == 0, result.output
    assert "published 3" in result.output and "32.2" in result.output
    assert "next: oodml sweep splits/cars196-published" in " ".join(result.output.split())
    ladder = load_ladder("cars196-published")
    assert ladder.name == "cars196-published" and ladder.default_level == 0 and len(ladder.episodes) == 12
    assert [level.published_shift for level in ladder.levels] == [8.59, 14.33, 32.18]

    exported = call("export-splits", "cars196-published")
    assert exported.exit_code == 0, exported.output
    written = Path("cars196-published.json")
    assert str(written) in exported.output
    assert json.loads(written.read_text())["3"]["fid"] == 32.18
    again = call("import-splits", written, "--dataset", "cars196", "--root", root, "--out", "again")
    assert again.exit_code == 0, again.output
    assert load_ladder("again").ladder_hash == ladder.ladder_hash


def test_sop_is_imported_with_a_note(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "SOP_splits.pkl"
    path.write_bytes(pickle.dumps(sop_splits(), protocol=2))
    result = call("import-splits", path, "--dataset", "sop", "--root", root, "--out", "sop")
    assert result.exit_code == 0, result.output
    assert "note: split 1: left out 2 episodes that list whole classes" in " ".join(result.output.split())
    assert load_ladder("sop").episodes == ()


def test_a_malicious_pickle_is_refused_and_runs_nothing(root: Path, tmp_path: Path) -> None:
    marker, path = tmp_path / "marker", tmp_path / "evil.pkl"

    class Evil:
        def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
            return os.system, (f"touch {marker}",)

    path.write_bytes(pickle.dumps({**cars_splits(), 4: Evil()}))
    where = ("--dataset", "cars196", "--root", root)
    fails(
        f"evil.pkl asks to load {os.system.__module__}.system: refused, nothing was run", "import-splits", path, *where
    )
    assert not marker.exists() and not Path("splits").exists()


def test_mistakes_are_explained(root: Path, file: Path, tmp_path: Path) -> None:
    cars = ("--dataset", "cars196", "--root", root)
    fails("Missing option '--dataset'", "import-splits", file)
    fails("none.pkl: No such file", "import-splits", "none.pkl", *cars)
    fails("unknown dataset 'car196'", "import-splits", file, "--dataset", "car196")
    fails("'cars196' could not be read", "import-splits", file, "--dataset", "cars196", "--root", tmp_path)
    fails("that dataset 'sop' does not have", "import-splits", file, "--dataset", "sop", "--root", root)
    fails("unknown option of dataset", "import-splits", file, *cars, "--dataset-args", "classes=9")
    (tmp_path / "cut.pkl").write_bytes(file.read_bytes()[:500])
    fails("cut.pkl is not a readable pickle of splits (cut short?)", "import-splits", "cut.pkl", *cars)
    (tmp_path / "list.pkl").write_bytes(pickle.dumps([np.str_(CARS[0])]))
    fails("list.pkl has an unknown schema", "import-splits", "list.pkl", *cars)
    fails("there is no ladder 'none'", "export-splits", "none")
    assert not Path("splits").exists()


def test_another_ladder_or_file_is_replaced_only_on_request(root: Path, file: Path, tmp_path: Path) -> None:
    command = ("import-splits", file, "--dataset", "cars196", "--root", root, "--out", "cars")
    assert call(*command).exit_code == call(*command).exit_code == 0
    changed = cars_splits()
    changed[3]["fid"] = np.float64(40)
    file.write_bytes(pickle.dumps(changed))
    fails("cars holds another ladder", *command)
    assert call(*command, "--force").exit_code == 0
    assert load_ladder("cars").levels[-1].shift == 40

    target = tmp_path / "out" / "cars.json"
    export = ("export-splits", "cars", "--out", target)
    assert call(*export).exit_code == call(*export).exit_code == 0
    target.write_text("{}")
    fails("cars.json is there and holds something else", *export)
    assert target.read_text() == "{}"
    assert call(*export, "--force").exit_code == 0
    assert json.loads(target.read_text())["3"]["fid"] == 40
    fails("a file stands where a folder is needed", "export-splits", "cars", "--out", target / "inside.json")
    fails("is there and holds something else", "export-splits", "cars", "--out", tmp_path)
