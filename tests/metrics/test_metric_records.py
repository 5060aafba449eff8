from __future__ import annotations

import pytest

from oodml.errors import UnknownNameError
from oodml.metrics import HEADLINE_METRICS, METRICS, metric_info, metric_names
from oodml.metrics.base import MAX_CLASSES_CLUSTERED

LOWER_IS_BETTER = {
    *("intra", "intra_over_inter", "rho_1", "rho_2", "rho_10", "rho_minus_1", "uniformity", "alignment"),
    *("opis", "fnmr_at_fmr_1e-2", "fnmr_at_fmr_1e-3"),
}
FAMILIES = {"retrieval", "clustering", "spread", "spectrum", "sphere", "verification"}


@pytest.mark.parametrize("name", METRICS)
def test_every_record_carries_its_own_name_and_is_complete(name: str) -> None:
    info = METRICS[name]
    assert info.name == name
    assert metric_info(name) is info
    assert len(info.summary) > 10
    assert info.family in FAMILIES
    assert info.bounds[0] < info.bounds[1]
    assert info.higher_is_better == (name not in LOWER_IS_BETTER)


def test_the_headline_is_by_default() -> None:
    assert set(HEADLINE_METRICS) <= set(metric_names("default", 10))


@pytest.mark.parametrize(
    ("name", "family", "k", "like"),
    [
        ("recall_at_16", "retrieval", 16, "recall_at_1"),
        ("map_at_50", "retrieval", 50, "map_at_1000"),
        ("rho_3", "spectrum", 3, "rho_1"),
        ("fnmr_at_fmr_1e-4", "verification", 4, "fnmr_at_fmr_1e-2"),
        ("recall_at_8_macro", "retrieval", 8, "recall_at_1_macro"),
        ("map_at_50_macro", "retrieval", 50, "recall_at_1_macro"),
        ("map_macro", "retrieval", None, "map"),
        ("map_at_c_paper_macro", "retrieval", None, "map_at_c_paper"),
    ],
)
def test_families_of_names_exist_for_every_number(name: str, family: str, k: int | None, like: str) -> None:
    info = metric_info(name)
    assert (info.name, info.family, info.k) == (name, family, k)
    assert (info.bounds, info.higher_is_better) == (METRICS[like].bounds, METRICS[like].higher_is_better)
    assert info.macro == name.endswith("_macro")
    if k:
        assert str(k - 1 if family == "spectrum" else k) in info.summary


@pytest.mark.parametrize(
    "name",
    [
        *("recall_at_0", "recall_at_", "recall_at_x", "recal_at_1", "recall_at_1.5", "recall_at_-1", "", "_macro"),
        *("map_at_0", "rho_0", "rho_-1", "fnmr_at_fmr_1e-0", "fnmr_at_fmr_1e-9", "recall_at_1_macro_macro"),
        *("nmi_macro", "intra_macro", "rho_1_macro", "opis_macro", "RECALL_AT_1", "recall_at_1\n"),
    ],
)
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(UnknownNameError, match="unknown metric"):
        metric_info(name)


def test_a_typo_gets_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'map_at_r'"):
        metric_info("map_at_R")


def test_default_leaves_verification_and_more_clusters_than_worth_it_out() -> None:
    few, many = metric_names("default", MAX_CLASSES_CLUSTERED), metric_names("default", MAX_CLASSES_CLUSTERED + 1)
    assert [name for name in few if name not in many] == ["nmi", "ami", "f1"]
    assert [name for name in METRICS if name not in few] == [
        *("nmi_paper", "f1_paper", "opis", "fnmr_at_fmr_1e-2", "fnmr_at_fmr_1e-3")
    ]


def test_all_is_everything_that_needs_no_option() -> None:
    assert metric_names("all", 10**6) == [name for name in METRICS if name not in ("nmi_paper", "f1_paper")]


def test_names_come_once_in_the_order_asked_for() -> None:
    assert metric_names(["recall_at_9", "recall_at_1", "recall_at_9"], 5) == ["recall_at_9", "recall_at_1"]
    assert metric_names("rho_4", 5) == ["rho_4"]
    mixed = metric_names(["rho_7", "default", "nmi"], 10**6)
    assert mixed == ["rho_7", *metric_names("default", 10**6), "nmi"]
    assert metric_names([], 5) == []


@pytest.mark.parametrize("metrics", ["defaults", ["recall_at_1", "nope"], ["all", "map_at_0"]])
def test_a_list_with_an_unknown_name_is_refused(metrics: str | list[str]) -> None:
    with pytest.raises(UnknownNameError, match="unknown metric"):
        metric_names(metrics, 5)
