"""`oodml make-splits` as a user meets it: generators, measures and default divisions, and every kind of bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from oodml.app import app
from oodml.records import Ladder
from oodml.splits import load_ladder, make_ladder

NAMES = [f"class {index:02d}" for index in range(20)]
FAST = ["--levels", 4, "--episodes", 1, "--null-draws", 9]
Make = Callable[..., Result]


@pytest.fixture
def make(vectors_file: Path, tmp_path: Path) -> Make:
    """Runs the command on twenty classes of ready-made vectors, into the folder out."""

    def run(*arguments: object, data: object = f"embeddings:{vectors_file}") -> Result:
        given = ["make-splits", data, *FAST, "--out", tmp_path / "out", *arguments]
        return CliRunner().invoke(app, [str(argument) for argument in given])

    return run


@pytest.fixture
def made(make: Make, tmp_path: Path) -> Callable[..., tuple[Ladder, str]]:
    """The ladder and the output of a run that has to succeed."""

    def run(*arguments: object, data: object = None) -> tuple[Ladder, str]:
        result = make(*arguments) if data is None else make(*arguments, data=data)
        assert result.exit_code == 0, result.output
        assert {file.name for file in (tmp_path / "out").iterdir()} >= {"ladder.json", "progression.png"}
        return load_ladder(tmp_path / "out"), flat(result)

    return run


@pytest.fixture
def refused(make: Make, tmp_path: Path) -> Callable[..., None]:
    """A run that has to fail with a message, exit code 2 and nothing written."""

    def run(message: str, *arguments: object, data: object = None) -> None:
        before = sorted(tmp_path.iterdir())
        result = make(*arguments) if data is None else make(*arguments, data=data)
        assert result.exit_code == 2, result.output
        assert isinstance(result.exception, SystemExit) and "Traceback" not in result.output
        assert message in flat(result), flat(result)
        assert sorted(tmp_path.iterdir()) == before

    return run


def flat(result: Result) -> str:
    return " ".join(result.output.replace("│", " ").split())


def store(path: Path, vectors: object, labels: object = None) -> str:
    array = np.asarray(vectors, dtype=np.float32)
    np.savez(path, embeddings=array, labels=np.arange(len(array)) // 4 if labels is None else np.asarray(labels))
    return f"embeddings:{path}"


@pytest.fixture
def superclasses(tmp_path: Path) -> Path:
    path = tmp_path / "superclasses.csv"
    path.write_text("class,superclass\n" + "".join(f"{name},group {row % 6}\n" for row, name in enumerate(NAMES)))
    return path


@pytest.mark.parametrize("generator", ["swap", "removal", "search", "matched", "random", "superclass"])
def test_every_generator_makes_a_ladder(
    made: Callable[..., tuple[Ladder, str]], superclasses: Path, generator: str
) -> None:
    ladder, output = made("--generator", generator, "--superclasses", superclasses)
    assert (ladder.generator["name"], ladder.distance, ladder.statistics) == (generator, "fid", "class-means")
    assert len(ladder.levels) == 4
    assert all(set(level.reference) == {"recall_at_1", "map_at_r"} for level in ladder.levels)
    assert all(f"note: {note}" in output for note in ladder.generator["notes"])
    assert "next: oodml sweep" in output
    if generator == "matched":
        recalls = [level.reference["recall_at_1"] for level in ladder.levels]
        default = recalls[ladder.default_level or 0]
        assert max(abs(recall - default) for recall in recalls) <= 0.02 + 1e-12


@pytest.mark.parametrize("statistics", ["class-means", "images"])
@pytest.mark.parametrize("measure", ["fid", "kid", "mmd", "sliced_wasserstein"])
def test_every_measure_and_statistics_is_that_of_the_library(
    made: Callable[..., tuple[Ladder, str]], vectors_file: Path, measure: str, statistics: str
) -> None:
    ladder, _ = made("--measure", measure, "--statistics", statistics, "--initial", "sorted")
    with np.load(vectors_file) as stored:
        features, labels = stored["embeddings"], stored["labels"]
    means = [features[labels == label].mean(axis=0, dtype=np.float64) for label in range(20)]
    same = make_ladder(
        means, NAMES, swaps_per_iteration=None, levels=4, measure=measure, statistics=statistics,
        features=features, labels=labels, null_draws=9,
    )  # fmt: skip
    assert [level.train for level in ladder.levels] == [level.train for level in same.levels]
    np.testing.assert_allclose([x.shift for x in ladder.levels], [x.shift for x in same.levels], rtol=1e-7)


def test_targets_are_reached(made: Callable[..., tuple[Ladder, str]]) -> None:
    ladder, _ = made("--generator", "search", "--targets", "20, 55,35")
    np.testing.assert_allclose([level.shift for level in ladder.levels], [20, 35, 55], atol=1.0)
    assert ladder.generator["targets"] == [20, 55, 35]


def test_sides_are_the_share_that_trains(made: Callable[..., tuple[Ladder, str]]) -> None:
    ladder, _ = made("--sides", 0.7)
    assert {(len(level.train), len(level.test)) for level in ladder.levels} == {(14, 6)}
    assert ladder.generator["sides"] == 0.7


@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_file_gives_the_default_division(made: Callable[..., tuple[Ladder, str]], tmp_path: Path, form: str) -> None:
    train, test = NAMES[:4] + NAMES[12:], NAMES[4:12]
    path = tmp_path / f"sides.{form}"
    if form == "json":
        path.write_text(json.dumps({"train": train, "test": test}))
    else:
        lines = [f"{name},{'train' if name in train else 'test'}" for name in NAMES[::-1]]
        path.write_text("\n".join(["class,side", *lines]))
    ladder, _ = made("--initial", path)
    assert ladder.default_level is not None
    level = ladder.levels[ladder.default_level]
    assert (level.train, level.test) == (tuple(train), tuple(test))
    assert ladder.generator["initial"] == "explicit"


def test_a_tolerance_holds_the_recall_as_close(made: Callable[..., tuple[Ladder, str]]) -> None:
    ladder, output = made("--generator", "matched", "--match-tolerance", 0)
    assert len({level.reference["recall_at_1"] for level in ladder.levels}) == 1
    assert ladder.generator["match_tolerance"] == 0
    assert "recall@1 of the untrained embedder on the test side stays within 0 of" in output


def test_more_swaps_than_classes_stop_and_say_so(made: Callable[..., tuple[Ladder, str]]) -> None:
    ladder, output = made("--swaps-per-iteration", 4, "--iterations", 50)
    assert "note: harder swaps: stopped at 10 swaps, all classes of a side" in output
    assert "swap +10" in dict(ladder.trace) and "swap +12" not in dict(ladder.trace)


def test_exchanging_all_classes_at_once_changes_nothing(refused: Callable[..., None]) -> None:
    refused("never changed the shift", "--swaps-per-iteration", 50)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--generator", "serch"], "unknown generator of splits 'serch'; did you mean 'search'"),
        (["--measure", "fit"], "unknown measure of shift 'fit'; did you mean 'fid'?"),
        (["--statistics", "image"], "unknown statistics 'image'; did you mean 'images'?"),
        (["--targets", "20,many"], "--targets '20,many' should be numbers such as 20,40,80"),
        (["--targets", "20"], "at least 2 target shifts, got 1"),
        (["--targets", "nan,20"], "the target shift nan is out of reach"),
        (["--targets", "20,inf"], "the target shift inf is out of reach"),
        (["--generator", "random", "--targets", "20,30"], "'random' takes a number of levels and no target shifts"),
        (["--generator", "superclass"], "'class 00' has none (20 of 20): name them with --superclasses FILE.csv"),
        (["--sides", 0.05], "sides=0.05 gives 1 training and 19 test classes of 20"),
        (["--sides", 0.95], "sides=0.95 gives 19 training and 1 test classes of 20"),
        (["--sides", 1.5], "the share that trains, between 0 and 1"),
        (["--sides", -0.5], "the share that trains, between 0 and 1"),
        (["--sides", "nan"], "the share that trains, between 0 and 1"),
        (["--sides", "half"], "--sides"),
        (["--initial", "sideways"], "--initial 'sideways' should be auto, sorted, random, or a .json or .csv file"),
        (["--initial", "nowhere.json"], "cannot read the initial division nowhere.json"),
        (["--match-tolerance", 1], "match_tolerance must be in [0, 1), got 1"),
        (["--match-tolerance", 1.5], "--match-tolerance"),
        (["--match-tolerance", -0.1], "--match-tolerance"),
        (["--levels", 1], "--levels"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_bad_options_are_explained(refused: Callable[..., None], arguments: list[object], message: str) -> None:
    refused(message, *arguments)


@pytest.mark.parametrize("generator", ["swap", "search"])
def test_targets_out_of_reach_name_the_reachable_range(
    made: Callable[..., tuple[Ladder, str]], make: Make, tmp_path: Path, generator: str
) -> None:
    shifts = [shift for _, shift in made("--generator", generator)[0].trace]
    result = make("--generator", generator, "--targets", "30,1000", "--out", tmp_path / "other")
    assert result.exit_code == 2 and not (tmp_path / "other").exists()
    reach = f"1000 is out of reach: this generator reaches {min(shifts):.4g} to {max(shifts):.4g} here"
    assert reach in flat(result)


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (NAMES[:10], NAMES[11:], "leaves out 'class 10' (1 in all)"),
        ([*NAMES[:10], "class 99"], NAMES[10:], "names the class 'class 99'"),
        (NAMES[:11], NAMES[10:], "has 'class 10' twice"),
        (NAMES[:1], NAMES[1:], "1 training and 19 test classes; both sides need at least 4"),
        (NAMES, [], "20 training and 0 test classes; both sides need at least 4"),
    ],
)
@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_file_that_does_not_divide_the_classes_is_explained(
    refused: Callable[..., None], tmp_path: Path, form: str, train: list[str], test: list[str], message: str
) -> None:
    path = tmp_path / f"sides.{form}"
    sides = {"train": train, "test": test}
    lines = [f"{name},{side}\n" for side, names in sides.items() for name in names]
    path.write_text(json.dumps(sides) if form == "json" else "class,side\n" + "".join(lines))
    refused(message, "--initial", path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "{", "a.json holds no initial division"),
        ("b.json", '{"train": ["class 00"]}', "b.json holds no initial division"),
        ("c.csv", "class,part\nclass 00,train\n", "c.csv lacks the columns class and side"),
        ("d.csv", "class,side\nclass 00,left\n", "d.csv line 2: side is 'left', not train or test"),
    ],
)
def test_a_file_of_another_form_is_explained(
    refused: Callable[..., None], tmp_path: Path, name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_text(content)
    refused(message, "--initial", tmp_path / name)


def test_unusable_vectors_are_explained(refused: Callable[..., None], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    good = rng.normal(size=(48, 5))
    two = store(tmp_path / "two.npz", good[:8])  # one class for either side
    refused("has 2 classes; at least 8 are needed", data=two)
    refused("constant features", data=store(tmp_path / "constant.npz", np.full((48, 5), 2.5)))
    holed = good.copy()
    holed[7, 2] = np.nan
    refused("the vector of row 7 is not finite", data=store(tmp_path / "nan.npz", holed))
    zero = good.copy()
    zero[7] = 0.0
    path = store(tmp_path / "zero.npz", zero)
    refused("all zeros and has no direction", data=path)
    refused("features of length 0 and no direction", "--generator", "matched", data=path)
    lone = store(tmp_path / "lone.npz", good, np.arange(48))
    refused("no class has two images", "--generator", "matched", data=lone)


def test_superclasses_that_do_not_fit_are_explained(
    refused: Callable[..., None], superclasses: Path, tmp_path: Path
) -> None:
    lines = superclasses.read_text().splitlines()
    (tmp_path / "short.csv").write_text("\n".join(lines[:-1]))
    refused("short.csv lacks 1 of 20 classes: 'class 19'", "--superclasses", tmp_path / "short.csv")
    three = "class,superclass\n" + "".join(f"{name},group {row % 3}\n" for row, name in enumerate(NAMES))
    (tmp_path / "three.csv").write_text(three)
    options = ["--generator", "superclass", "--superclasses", tmp_path / "three.csv"]
    refused("at least 4 superclasses, got 3", *options)


def test_a_failure_leaves_the_ladder_that_was_there(
    made: Callable[..., tuple[Ladder, str]], make: Make, tmp_path: Path
) -> None:
    made()
    before = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    assert make("--force", "--targets", "30,1000").exit_code == 2
    assert make("--generator", "search").exit_code == 2  # another ladder, without --force
    assert {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()} == before
