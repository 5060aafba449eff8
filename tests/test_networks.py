from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from oodml.errors import UsageError, WeightsError
from oodml.networks import NetworkConfig, file_digest, identity


def test_identity_tells_apart_what_changes_numbers() -> None:
    base = NetworkConfig("resnet50.tv_in1k")
    others = [
        NetworkConfig("resnet50.tv2_in1k"),
        NetworkConfig("resnet50.tv_in1k", pretrained=False),
        NetworkConfig("resnet50.tv_in1k", args=(("drop_rate", 0.1),)),
        NetworkConfig("resnet50.tv_in1k", mean=(0.5,)),
        NetworkConfig("resnet50.tv_in1k", std=(0.5,)),
    ]
    texts = {json.dumps(identity(config), sort_keys=True) for config in [base, *others]}
    assert len(texts) == 6
    assert identity(base) == {"name": "resnet50.tv_in1k", "weights": "pretrained:tv_in1k", "args": "{}"}


def test_one_value_stands_for_three_channels() -> None:
    assert identity(NetworkConfig("a", mean=(0.5,))) == identity(NetworkConfig("a", mean=(0.5, 0.5, 0.5)))
    for wrong in [(0.5, 0.5), (1.5,), (float("nan"),)]:
        with pytest.raises(UsageError, match="--mean"):
            identity(NetworkConfig("a", mean=wrong))


def test_order_of_keywords_does_not_matter() -> None:
    one = NetworkConfig("a", args=(("x", 1), ("y", True)))
    assert identity(one) == identity(NetworkConfig("a", args=(("y", True), ("x", 1))))


def test_weights_file_counts_by_content_not_by_path(tmp_path: Path) -> None:
    first, second = tmp_path / "a.pth", tmp_path / "b.pth"
    for path in (first, second):
        path.write_bytes(b"abc")
    found = identity(NetworkConfig("resnet50", weights=first))
    assert found["weights"] == "sha256:ba7816bf8f01cfea"  # SHA-256 of "abc" starts so
    assert found == identity(NetworkConfig("resnet50", pretrained=False, weights=second))
    assert str(tmp_path) not in json.dumps(found)
    first.write_bytes(b"abcd")
    assert file_digest(first) != file_digest(second)


def test_missing_weights_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"gone\.pth.*--weights"):
        identity(NetworkConfig("resnet50", weights=tmp_path / "gone.pth"))


def test_registered_backbones_have_no_weights() -> None:
    for name in ("pixels", "vectors"):
        assert identity(NetworkConfig(name)) == identity(NetworkConfig(name, pretrained=False))
        assert identity(NetworkConfig(name))["weights"] == "none"


def test_identity_needs_no_torch() -> None:
    code = (
        "import sys; from oodml.networks import NetworkConfig, identity; identity(NetworkConfig('pixels'));"
        "sys.exit('torch' in sys.modules)"
    )
    root = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, env={**os.environ, "PYTHONPATH": str(root)})
