"""A sweep folder at a second place: everything arrives, nothing is lost, and another machine goes on from it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import pytest
from fsspec.implementations.memory import MemoryFileSystem

import oodml
from oodml.errors import LadderError, ResultsError, StorageError, UsageError
from oodml.make_splits import ladder_from_dataset
from oodml.mirror import OWNER, Mirror
from oodml.parts import PARTS, RUNS
from oodml.results import PLAN_FILE, write_run


@pytest.fixture(params=["memory", "directory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    yield "memory://bucket/sweep" if request.param == "memory" else str(tmp_path / "shared" / "sweep")
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


def listed(url: str) -> set[str]:
    files, root = fsspec.core.url_to_fs(url)
    return {path.removeprefix(root).strip("/") for path in files.find(root)}


def write(sweep: Path, *names: str, value: float = 0.5) -> None:
    for name in names:
        row = {"run_id": name, "metric": "recall_at_1", "value": value, "status": "done"}
        write_run(sweep / RUNS / f"{name}.parquet", [row])


def values(sweep: Path) -> dict[str, float]:
    runs = oodml.read_runs(sweep)
    return dict(zip(runs["run_id"], runs["value"], strict=True))


def test_finished_files_arrive_at_once_and_another_machine_begins_with_them(tmp_path: Path, url: str) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    write(here, "before")
    with Mirror(here, url) as mirror:
        assert listed(url) == {"runs/before.parquet", OWNER}
        write(here, "one")
        mirror.update()
        assert "runs/one.parquet" in listed(url)
        (here / RUNS / ".two.parquet.oodml-tmp").write_bytes(b"half")
        mirror.update()
    assert listed(url) == {"runs/before.parquet", "runs/one.parquet"}
    there.mkdir()
    with Mirror(there, url):
        assert values(there) == {"before": 0.5, "one": 0.5}
        write(there, "three")
    assert "runs/three.parquet" in listed(url)


def test_what_is_packed_here_is_packed_there_and_never_missing(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    write(here, "one", "two")
    with Mirror(here, url) as mirror:
        oodml.compact(here)
        remove, seen = mirror.files.rm_file, list[list[str]]()

        def removing(path: str) -> None:
            if f"/{RUNS}/" in path:
                seen.append([name for name in listed(url) if name.startswith(PARTS)])
            remove(path)

        monkeypatch.setattr(mirror.files, "rm_file", removing)
        mirror.update()
        assert [len(parts) for parts in seen] == [1, 1]
    assert {name.split("/")[0] for name in listed(url)} == {PARTS}
    with Mirror(tmp_path / "there", url):
        assert values(tmp_path / "there") == {"one": 0.5, "two": 0.5}
    again = Mirror(here, url)
    monkeypatch.setattr(again.files, "put_file", lambda *_: pytest.fail("what is there is not copied again"))
    with again:
        assert len(again.there) == 1


def test_a_renewed_run_is_put_there_again(tmp_path: Path, url: str) -> None:
    here = tmp_path / "here"
    write(here, "one", value=0.1)
    with Mirror(here, url) as mirror:
        write(here, "one", value=0.25)
        mirror.update()
    with Mirror(tmp_path / "there", url):
        assert values(tmp_path / "there") == {"one": 0.25}


def test_two_sweeps_do_not_share_a_place_unless_one_is_gone(tmp_path: Path, url: str) -> None:
    write(tmp_path / "a", "one")
    files, root = fsspec.core.url_to_fs(url)
    with Mirror(tmp_path / "a", url):
        with pytest.raises(ResultsError, match=f"another sweep is writing to .* on {socket.gethostname()}"):
            Mirror(tmp_path / "b", url).__enter__()
        assert f"{OWNER}" in listed(url)
    gone = {"host": socket.gethostname(), "process": 2**22 + 1, "token": "x"}
    files.pipe_file(f"{root}/{OWNER}", json.dumps(gone).encode())
    with Mirror(tmp_path / "b", url):
        assert values(tmp_path / "b") == {"one": 0.5}
    elsewhere = {**gone, "host": "elsewhere", "process": os.getpid()}
    files.pipe_file(f"{root}/{OWNER}", json.dumps(elsewhere).encode())
    with pytest.raises(ResultsError, match="on elsewhere.*remove"):
        Mirror(tmp_path / "b", url).__enter__()


def test_a_place_that_fails_for_a_while_stops_nothing_and_gets_everything(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    write(here, "one")

    def broken(*_: Any) -> None:
        raise OSError("connection reset")

    with Mirror(here, url) as mirror:
        with monkeypatch.context() as patch:
            patch.setattr(mirror.files, "put_file", broken)
            write(here, "two")
            mirror.update()
            assert mirror.trouble == "connection reset"
        write(here, "three")
        mirror.update()
        assert not mirror.trouble
    assert listed(url) == {f"runs/{name}.parquet" for name in ("one", "two", "three")}
    with (
        pytest.raises(StorageError, match="not everything is at .*connection reset.*the same command"),
        Mirror(here, url) as mirror,
    ):
        monkeypatch.setattr(mirror.files, "put_file", broken)
        write(here, "four")
    assert values(here).keys() == {"one", "two", "three", "four"}


def test_bad_addresses_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--share nope://x: .*nope"):
        Mirror(tmp_path, "nope://x")
    (tmp_path / "taken").write_text("")
    with pytest.raises(StorageError, match="cannot reach"):
        Mirror(tmp_path / "a", str(tmp_path / "taken")).__enter__()


def test_a_sweep_goes_on_on_another_machine(tmp_path: Path, url: str, vectors_file: Path) -> None:
    spec = f"embeddings:{vectors_file}"
    ladder = ladder_from_dataset(oodml.load_dataset(spec), spec, levels=2, episodes=1, null_draws=5)

    def sweep(out: str, seeds: list[int]) -> Any:
        train = {"steps": 3, "batch_size": 16, "per_class": 4, "embedding_dim": 6}
        options = {"methods": ["margin"], "settings": {"train": train}, "workers": 1, "share": url}
        return oodml.run_sweep(ladder, out=tmp_path / out, seeds=seeds, **options)

    assert sweep("one", [0]).outcomes == {"done": 2}
    second = sweep("two", [0, 1])
    assert second.already == 2 and second.outcomes == {"done": 2}
    third = sweep("three", [1])
    assert not third.outcomes and len(pd.read_parquet(tmp_path / "three" / PLAN_FILE)) == 4
    assert len(oodml.read_runs(tmp_path / "three")["run_id"].unique()) == 4
    other = replace(ladder, levels=(replace(ladder.levels[0], val=()), *ladder.levels[1:]))
    with pytest.raises(LadderError, match="holds results of ladder"):
        oodml.run_sweep(other, out=tmp_path / "four", share=url)
    oodml.run_sweep(other, out=tmp_path / "five", methods=["frozen"], seeds=[0])
    with pytest.raises(LadderError, match="another ladder than"):
        oodml.run_sweep(other, out=tmp_path / "five", share=url)
