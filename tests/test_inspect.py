"""`oodml inspect`: what it prints, checks and draws."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_ladder import ladder_of, write_vectors
from typer.testing import CliRunner, Result

from oodml.app import app
from oodml.records import Ladder
from oodml.splits import load_ladder, save_ladder

DATA = Path(__file__).parents[2] / "shared" / "data"
KINDS = ("png", "svg", "pdf")


def call(*arguments: object) -> Result:
    found = CliRunner().invoke(app, ["inspect", *map(str, arguments)], env={"COLUMNS": "80"})
    assert "Traceback" not in found.output
    return found


def flat(result: Result) -> str:
    return " ".join(result.output.split())


@pytest.fixture(name="ladder", scope="module")
def _ladder(vectors_file: Path) -> Ladder:
    return ladder_of(f"embeddings:{vectors_file}")


@pytest.fixture(name="folder", scope="module")
def _folder(ladder: Ladder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_ladder(ladder, tmp_path_factory.mktemp("inspect") / "small")


@pytest.fixture(name="lost")
def _lost(ladder: Ladder, tmp_path: Path) -> Path:
    return save_ladder(replace(ladder, dataset="embeddings:gone.npz"), tmp_path / "lost")


@pytest.fixture(name="groups")
def _groups(ladder: Ladder, tmp_path: Path) -> Path:
    names = sorted({*ladder.levels[0].train, *ladder.levels[0].test})
    lines = [f"{name},{'early' if number < 10 else 'late'}" for number, name in enumerate(names)]
    path = tmp_path / "groups.csv"
    path.write_text("\n".join(["class,superclass", *lines]))
    return path


def test_everything_about_a_ladder_is_printed(folder: Path, ladder: Ladder, groups: Path) -> None:
    result = call(folder, "--superclasses", groups)
    assert result.exit_code == 0, result.output
    text = flat(result)
    for words in ("small (hash", "embedder vectors", "fid of class means", "by_hand", "note: made by hand"):
        assert words in text
    assert f"matches the ladder (hash {ladder.dataset_hash})" in text
    rows = [line.split() for line in result.output.splitlines()]
    early = [sum(name < "class 10" for name in level.train) for level in ladder.levels]
    cells = [f"{count or '·'}/{10 - count or '·'}" for count in early]
    assert ["early", *cells] in rows
    long = [line for line in result.output.splitlines() if len(line) > 80]
    assert all(line.startswith(("dataset", "note")) for line in long)


def test_a_ladder_whose_dataset_is_gone_is_shown_with_a_warning(lost: Path, groups: Path, tmp_path: Path) -> None:
    result = call(lost, "--plot", tmp_path / "plot", "--superclasses", groups)
    assert result.exit_code == 0, result.output
    text = flat(result)
    assert "cannot be opened here" in text and "gone.npz" in text and "--dataset" in text
    assert "map of the classes: left out" in text
    assert "early" in text and "small: 3 levels" in text
    assert sorted(path.name for path in (tmp_path / "plot").iterdir()) == sorted(
        f"{stem}.{kind}" for stem in ("progression", "composition") for kind in KINDS
    )


def test_the_dataset_can_be_named_where_it_is_now(lost: Path, vectors_file: Path) -> None:
    result = call(lost, "--dataset", f"embeddings:{vectors_file}")
    assert result.exit_code == 0 and "matches the ladder" in flat(result)


def test_another_dataset_is_an_error(folder: Path, ladder: Ladder, vectors_file: Path, tmp_path: Path) -> None:
    other = write_vectors(tmp_path / "other.npz", vectors_file)
    result = call(folder, "--dataset", f"embeddings:{other}")
    assert result.exit_code == 2
    assert "was made from other data" in flat(result) and ladder.dataset_hash in flat(result)


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_three_figures_are_written_in_three_formats(folder: Path, groups: Path, tmp_path: Path, method: str) -> None:
    result = call(folder, "--superclasses", groups, "--plot", tmp_path / "plot", "--map", method)
    assert result.exit_code == 0, result.output
    stems = ("progression", "composition", f"map_{method}")
    assert {path.name for path in (tmp_path / "plot").iterdir()} == {f"{s}.{kind}" for s in stems for kind in KINDS}
    for stem in stems:
        with Image.open(tmp_path / "plot" / f"{stem}.png") as image:
            assert len({colour for _, colour in image.convert("RGB").getcolors(1 << 20) or []}) > 20
        assert (tmp_path / "plot" / f"{stem}.pdf").read_bytes().startswith(b"%PDF")
    svg = (tmp_path / "plot" / f"map_{method}.svg").read_text()
    assert svg.count(">shift ") == 3 and all(f">level {index}" in svg for index in range(3))


def test_the_same_ladder_gives_the_same_files(folder: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert call(folder, "--plot", tmp_path / name).exit_code == 0
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_without_superclasses_their_table_and_figure_say_so(folder: Path, tmp_path: Path) -> None:
    result = call(folder, "--plot", tmp_path / "plot")
    assert result.exit_code == 0, result.output
    assert "unknown; --superclasses FILE.csv" in flat(result)
    assert not (tmp_path / "plot" / "composition.png").exists()


@pytest.mark.parametrize(
    ("embedder", "words"),
    [
        ({"name": "resnet18", "weights": "sha256:0123456789abcdef"}, "name it with --weights FILE"),
        ({}, "does not say which network"),
    ],
)
def test_a_network_that_cannot_be_had_costs_the_map_only(
    ladder: Ladder, tmp_path: Path, embedder: dict[str, str], words: str
) -> None:
    folder = save_ladder(replace(ladder, embedder=embedder), tmp_path / "ladder")
    result = call(folder, "--plot", tmp_path / "plot")
    assert result.exit_code == 0, result.output
    assert words in flat(result) and "map of the classes: left out" in flat(result)
    assert (tmp_path / "plot" / "progression.pdf").exists()


def test_mistakes_are_explained(folder: Path, tmp_path: Path) -> None:
    for words, arguments in (
        ("unknown --map 'umap'; known: pca, tsne", (folder, "--map", "umap")),
        ("there is no ladder", ("nothing-here",)),
        ("cannot read the superclasses", (folder, "--superclasses", tmp_path / "none.csv")),
        ("unknown dataset 'glyfs'", (folder, "--dataset", "glyfs")),
    ):
        result = call(*arguments)
        assert result.exit_code == 2 and words in flat(result), result.output
    (tmp_path / "file").write_text("")
    result = call(folder, "--plot", tmp_path / "file")
    assert result.exit_code == 2 and str(tmp_path / "file") in result.output.replace("\n", "")


def test_the_committed_ladder_matches_its_dataset() -> None:
    result = call(Path(__file__).parent.parent / "splits" / "glyphs")
    assert result.exit_code == 0 and "glyphs matches the ladder" in flat(result)
    assert "Armenian" in result.output


@pytest.mark.skipif(not DATA.exists(), reason=f"needs the image data in {DATA}")
def test_product_groups_of_real_features_are_shown(tmp_path: Path) -> None:
    made = ladder_of(f"embeddings:{DATA / 'grocery96_mobilenetv2.npz'}")
    folder = save_ladder(made, tmp_path / "grocery")
    result = call(folder, "--superclasses", DATA / "grocery96_classes.csv", "--plot", tmp_path / "plot")
    assert result.exit_code == 0, result.output
    rows = {line.split()[0]: line.split()[1:] for line in result.output.splitlines() if line[:1].isupper()}
    for name, size in (("Juice", 10), ("Milk", 6), ("Apple", 5)):
        assert [sum(int(part) for part in cell.replace("·", "0").split("/")) for cell in rows[name]] == [size] * 3
    assert "of 12" in flat(result)  # superclasses of several products
    assert np.ptp([level.shift for level in load_ladder(folder).levels]) > 0
    assert (tmp_path / "plot" / "map_pca.svg").exists()
