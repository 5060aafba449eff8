"""Random control divisions: the band of chance, and which sweeps may serve."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from report_frames import make_frame, make_levels, make_mean, make_section
from scipy import stats

from oodml.controls import Control, check_control, summarise_control
from oodml.errors import ResultsError
from oodml.report.control_table import control_table
from oodml.report.view import views
from oodml.splits import load_ladder
from oodml.statistics import Estimate

LADDER = load_ladder(Path(__file__).parents[2] / "splits" / "glyphs")
RANDOM = replace(LADDER, name="glyphs-random", generator={"name": "random"})
METHODS = ("contrastive", "margin", "triplet")


def board(missing: int = 0) -> pd.DataFrame:
    return make_frame(make_levels(5), METHODS, done={("triplet", 2): 0} if missing else {})


def test_bands_are_prediction_intervals_over_the_divisions() -> None:
    control = summarise_control(board())
    assert control.divisions == 5 and len(control.methods) == 3 * 2
    for rank, method in enumerate(METHODS):
        values = np.array([make_mean(rank, level, "recall_at_1") for level in range(5)])
        band = control.methods[method, "recall_at_1"]
        half = stats.t.ppf(0.975, 4) * values.std(ddof=1) * (1 + 1 / 5) ** 0.5
        assert (band.value, band.low, band.high) == pytest.approx(
            (values.mean(), values.mean() - half, values.mean() + half)
        )
    means = np.array([[make_mean(rank, level, "map_at_r") for level in range(5)] for rank in range(3)]).mean(axis=0)
    assert control.overall["map_at_r"].value == pytest.approx(means.mean())


def test_a_method_without_every_division_has_no_band() -> None:
    control = summarise_control(board(missing=1))
    assert {method for method, _ in control.methods} == {"contrastive", "margin"}


def test_only_random_divisions_of_the_same_data_serve() -> None:
    check_control(RANDOM, [LADDER])
    with pytest.raises(ResultsError, match=r"'glyphs' was made by 'swap'.*--generator random"):
        check_control(LADDER, [LADDER])
    with pytest.raises(ResultsError, match="divides other data than glyphs"):
        check_control(replace(RANDOM, dataset_hash="other"), [LADDER])


def test_the_table_names_levels_outside_the_band() -> None:
    (view,) = views(make_section(count=4, methods=METHODS))
    means = [make_mean(0, level, "recall_at_1") for level in range(4)]
    middle = sorted(means)[1:3]
    band = Estimate(0.5, middle[0] - 1e-6, middle[1] + 1e-6, 5, "prediction of one more")
    table = control_table(Control(5, {("contrastive", "recall_at_1"): band}, {}), view, "recall_at_1")
    assert table is not None
    ((head, cells),) = table.rows
    outside = [str(i) for i, mean in enumerate(means) if not band.low <= mean <= band.high]
    assert head == "contrastive" and cells[2].text == ", ".join(outside) and len(outside) == 2
    assert control_table(Control(5, {}, {}), view, "recall_at_1") is None
