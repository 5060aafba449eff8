"""The area of the study's curves is the study's score: recall@1 by split, and AGS, of arXiv:2107.09562.

Digitised from the plots of its public repository: recall@1 from `images/progression_comp.png` (+-.002, up to +-.005
where a marker is hidden and for Margin on CUB and SOP), AGS from the bars of `images/AUC_Comp.png` (+-.0004, SOP
+-.0002). Only methods whose curve is readable at every split are here. The shift of the splits is that of
`create_dataset_splits.py`.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from oodml.statistics import ags

SHIFT = {
    "CUB": [19.16, 28.49, 52.62, 72.20, 92.48, 120.38, 136.45, 152.04, 173.94],
    "CARS": [8.59, 14.33, 32.18, 43.58, 63.29, 86.48, 101.17, 123.03],
    "SOP": [3.43, 24.59, 53.47, 99.38, 135.53, 155.25, 189.81, 235.10],
}
CURVES: list[tuple[str, str, list[float], float]] = [
    ("CUB", "Margin", [0.765, 0.722, 0.658, 0.654, 0.633, 0.615, 0.600, 0.577, 0.586], 0.636),
    ("CUB", "ArcFace", [0.760, 0.714, 0.652, 0.644, 0.625, 0.613, 0.602, 0.587, 0.585], 0.633),
    ("CUB", "Uniform prior", [0.766, 0.725, 0.675, 0.673, 0.654, 0.651, 0.626, 0.600, 0.608], 0.657),
    ("CUB", "DiVA", [0.778, 0.733, 0.680, 0.677, 0.660, 0.646, 0.631, 0.618, 0.619], 0.663),
    ("CUB", "S2SD", [0.790, 0.753, 0.691, 0.687, 0.673, 0.662, 0.646, 0.629, 0.630], 0.677),
    ("CARS", "Margin", [0.837, 0.830, 0.812, 0.789, 0.756, 0.700, 0.674, 0.648], 0.745),
    ("CARS", "ArcFace", [0.817, 0.817, 0.795, 0.772, 0.750, 0.694, 0.661, 0.626], 0.732),
    ("CARS", "R-Margin", [0.852, 0.846, 0.832, 0.807, 0.772, 0.744, 0.713, 0.692], 0.773),
    ("CARS", "Uniform prior", [0.845, 0.839, 0.822, 0.799, 0.774, 0.711, 0.691, 0.667], 0.758),
    ("CARS", "DiVA", [0.867, 0.860, 0.844, 0.821, 0.793, 0.754, 0.728, 0.705], 0.787),
    ("CARS", "S2SD", [0.879, 0.868, 0.856, 0.831, 0.805, 0.774, 0.747, 0.726], 0.802),
    ("SOP", "Margin", [0.795, 0.785, 0.775, 0.761, 0.745, 0.727, 0.707, 0.697], 0.7458),
    ("SOP", "Uniform prior", [0.794, 0.785, 0.776, 0.762, 0.744, 0.727, 0.706, 0.696], 0.7457),
    ("SOP", "DiVA", [0.798, 0.788, 0.778, 0.766, 0.748, 0.732, 0.714, 0.703], 0.7504),
]


def scores(dataset: str) -> dict[str, float]:
    x = np.array(SHIFT[dataset])
    return {m: ags((x - x[0]) / (x[-1] - x[0]), values) for name, m, values, _ in CURVES if name == dataset}


@pytest.mark.parametrize(("dataset", "method", "values", "published"), CURVES)
def test_the_area_is_the_published_score(dataset: str, method: str, values: list[float], published: float) -> None:
    assert scores(dataset)[method] == pytest.approx(published, abs=2e-3)
    assert len(values) == len(SHIFT[dataset])


def test_other_definitions_miss_the_published_scores() -> None:
    # shift divided by its maximum instead of scaled to [0, 1], and the plain mean over splits
    for dataset, _, values, published in CURVES:
        x, v = np.array(SHIFT[dataset]), np.array(values)
        divided = float(np.sum(np.diff(x / x[-1]) * (v[1:] + v[:-1]) / 2))
        assert abs(divided - published) > 0.008
        assert abs(v.mean() - published) > 0.0025


@pytest.mark.parametrize("dataset", ["CUB", "CARS", "SOP"])
def test_methods_come_in_the_published_order(dataset: str) -> None:
    ours = scores(dataset)
    published = {method: score for name, method, _, score in CURVES if name == dataset}
    apart = {m for m in ours if all(abs(published[m] - published[o]) > 1e-3 for o in ours if o != m)}
    assert len(apart) >= 1
    assert stats.rankdata([ours[m] for m in apart]).tolist() == stats.rankdata([published[m] for m in apart]).tolist()
