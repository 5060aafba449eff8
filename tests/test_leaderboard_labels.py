from __future__ import annotations

import json
from typing import Any

import pandas as pd

from oodml.method_labels import label_methods


def labels_of(*entries: tuple[str, str, int, dict[str, Any]]) -> list[str]:
    rows = [
        {"benchmark": "toy", "method": m, "backbone": b, "embedding_dim": d, "config": json.dumps(config)}
        for m, b, d, config in entries
    ]
    labels = label_methods(pd.DataFrame(rows, index=range(10, 10 + len(rows))))
    assert labels.index.tolist() == list(range(10, 10 + len(rows)))
    return labels.tolist()


def test_labels_name_what_differs_and_nothing_else() -> None:
    def config(**method: Any) -> dict[str, Any]:
        return {"method": {"nu": 0.0, **method}, "training": {"steps": 300, "embedding_dim": 64}}

    assert labels_of(("margin", "net", 64, config(beta=0.6)), ("arcface", "net", 64, {})) == [
        "margin",
        "arcface",
    ]
    two = (("margin", "net", 64, config(beta=0.6)), ("margin", "net", 64, config(beta=1.2)))
    assert labels_of(*two, two[0]) == ["margin (beta=0.6)", "margin (beta=1.2)", "margin (beta=0.6)"]
    wide = {**config(), "training": {"steps": 600, "embedding_dim": 128}}
    assert labels_of(("margin", "net", 64, config()), ("margin", "net", 128, wide)) == [
        "margin (embedding_dim=64, steps=300)",
        "margin (embedding_dim=128, steps=600)",
    ]


def test_labels_leave_out_what_follows_from_the_backbone() -> None:
    nets = [("a", {"weights": "1"}), ("b", {"weights": "2"}), ("b", {"weights": "3"})]
    entries = [("margin", name, 64, {"backbone": options}) for name, options in nets]
    assert labels_of(*entries[:2]) == ["margin (a)", "margin (b)"]
    assert labels_of(*entries) == ["margin (a, weights=1)", "margin (b, weights=2)", "margin (b, weights=3)"]


def test_labels_of_a_frame_with_nullable_integers() -> None:
    frame = pd.DataFrame({"benchmark": "toy", "method": "margin", "backbone": "net", "config": "{}"}, index=[0, 1])
    frame["embedding_dim"] = pd.array([64, pd.NA], dtype="Int64")
    assert label_methods(frame).tolist() == ["margin (embedding_dim=64)", "margin (embedding_dim=null)"]


def test_labels_of_different_entries_differ_always() -> None:
    # the same options in another spelling are another entry
    frame = pd.DataFrame({"benchmark": "toy", "method": "margin", "backbone": "net", "embedding_dim": 8}, index=[0, 1])
    assert label_methods(frame.assign(config=['{"method": {}}', "{}"])).is_unique
    assert label_methods(frame.assign(config=["{}", '{"method": {"beta": null}}'])).is_unique
