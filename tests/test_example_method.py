"""The example package: a method that lives outside the repository and is found by its entry point."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import numpy as np
import pytest
import torch
from method_case import ROWS, batch_of, begin, build, loss_of, trained
from typer.testing import CliRunner

from oodml import registry
from oodml.app import app
from oodml.method_groups import expand_groups
from oodml.model import embed

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "examples" / "oodml-example-method"
NAME = "squared_hinge"
needs_example = pytest.mark.skipif(not PACKAGE.is_dir(), reason="needs the folder `examples` of the checkout")
pytestmark = needs_example


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The example as if it were installed: importable, and named by an entry point."""
    point = EntryPoint(NAME, "oodml_example_method.card:INFO", "oodml.methods")
    monkeypatch.syspath_prepend(str(PACKAGE))
    monkeypatch.setattr(registry, "entry_points", lambda group: EntryPoints([point]).select(group=group))
    registry.targets.cache_clear()
    yield
    registry.targets.cache_clear()


@pytest.mark.usefixtures("registered")
def test_the_record_is_listed_in_a_group_of_its_own_and_has_a_card() -> None:
    listed = CliRunner().invoke(app, ["methods", "--group", "example"])
    assert listed.exit_code == 0, listed.output
    assert "example: of an installed package (1)" in listed.output and NAME in listed.output
    card = CliRunner().invoke(app, ["methods", NAME])
    assert card.exit_code == 0 and f"--set {NAME}.NAME=VALUE" in card.output and "not measured" in card.output
    assert expand_groups(["example"]) == [NAME] and NAME in expand_groups(["own"]) and NAME in expand_groups(["all"])
    assert set(registry.names("method")) > {NAME, "margin"}


@pytest.mark.usefixtures("registered")
def test_the_loss_is_the_mean_over_pairs_of_squared_hinges() -> None:
    network, source = build(NAME, upper=0.8, lower=-0.2)
    rows = np.array([0, 1, 2, 7, 8, 20])
    z = embed(network, source, rows).astype(np.float64)
    labels = rows // 6
    positive, negative = [], []
    for a in range(len(rows)):
        for b in range(len(rows)):
            cosine = sum(x * y for x, y in zip(z[a], z[b], strict=True))
            if labels[a] != labels[b]:
                negative.append(max(0.0, cosine + 0.2) ** 2)
            elif a != b:
                positive.append(max(0.0, 0.8 - cosine) ** 2)
    expected = sum(positive) / len(positive) + sum(negative) / len(negative)
    network.eval()
    assert loss_of(network, batch_of(rows, source)).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("rows", [[0, 1, 2, 3], [0, 6, 12, 18], [0, 0, 6, 6]], ids=["one class", "singles", "copies"])
def test_degenerate_batches_give_a_finite_loss_and_gradient(rows: list[int]) -> None:
    network, source = build(NAME)
    loss = loss_of(network, batch_of(np.array(rows), source))
    loss.backward()
    assert loss.ndim == 0 and loss.isfinite()
    grads = [parameter.grad for parameter in network.parameters()]
    assert all(grad is not None and grad.isfinite().all() for grad in grads)


@pytest.mark.usefixtures("registered")
def test_steps_on_a_batch_lower_the_loss_and_the_same_seed_gives_the_same_numbers() -> None:
    network, source = build(NAME)
    state, history = begin(network, source), []
    for _ in range(40):
        loss = loss_of(network, batch_of(ROWS, source))
        state.optimize(loss)
        history.append(float(loss.detach()))
    assert history[-1] < 0.5 * history[0]
    first = trained(NAME, 1)
    assert np.array_equal(first, trained(NAME, 1)) and not np.array_equal(first, trained(NAME, 2))
    assert torch.from_numpy(first).norm(dim=1).allclose(torch.ones(len(first)), atol=1e-5)


def run(*command: object, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, cwd=cwd, env={**os.environ, **env}, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_installed_example_is_listed_and_sweeps(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    shutil.copytree(PACKAGE, source)  # the build leaves files beside its source
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    run(*pip, "--target", target, source, cwd=tmp_path)
    program = [sys.executable, "-m", "oodml"]
    found = {"PYTHONPATH": os.pathsep.join([str(target), str(ROOT)])}
    assert NAME in run(*program, "methods", cwd=tmp_path, **found)
    sweep = ["--backbone", "pixels", "--steps", "20", "--levels", "0", "--seeds", "1", "--workers", "1"]
    text = run(
        *(*program, "sweep", ROOT / "splits" / "glyphs", "--methods", NAME, *sweep, "--out", "sweep"),
        cwd=tmp_path,
        **found,
    )
    assert "1 executed now" in text and NAME in text
