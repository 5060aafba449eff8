from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from oodml.backbones.base import NetworkConfig
from oodml.backbones.timm_models import TimmBackbone, build_timm
from oodml.backbones.weights import read_state_dict
from oodml.errors import WeightsError

SHARED = Path(__file__).parents[2].parent / "shared" / "weights" / "mobilenetv2_100.imagenet.safetensors"


@pytest.fixture(scope="module")
def donor() -> dict[str, Tensor]:
    state: dict[str, Tensor] = timm.create_model("test_resnet", pretrained=False, num_classes=7).state_dict()
    return state


def load(path: Path, name: str = "test_resnet") -> dict[str, Tensor]:
    backbone = build_timm(NetworkConfig(name, weights=path))
    assert isinstance(backbone, TimmBackbone)
    return backbone.model.state_dict()


def same(found: dict[str, Tensor], state: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, state[key]) for key, value in found.items())


@pytest.mark.parametrize("wrap", ["plain", "state_dict", "model", "both", "module"])
@pytest.mark.parametrize("ending", [".pth", ".pt"])
def test_pickled_weights_round_trip(wrap: str, ending: str, donor: dict[str, Tensor], tmp_path: Path) -> None:
    saved: dict[str, Any] = {
        "plain": dict(donor),
        "state_dict": {"state_dict": donor, "epoch": 3},
        "model": {"model": donor},
        "both": {"model": {"state_dict": donor}},
        "module": {f"module.{key}": value for key, value in donor.items()},
    }
    path = tmp_path / f"weights{ending}"
    torch.save(saved[wrap], path)
    assert same(load(path), donor)


def test_safetensors_round_trip_without_the_classifier(donor: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(donor, path)
    found = load(path)
    assert same(found, donor)
    assert donor.keys() - found.keys() == {"fc.weight", "fc.bias"}
    save_file({key: value for key, value in donor.items() if not key.startswith("fc.")}, path)
    assert same(load(path), donor)


def test_old_files_without_batch_counters_load(donor: dict[str, Tensor], tmp_path: Path) -> None:
    old = {key: value for key, value in donor.items() if not key.endswith("num_batches_tracked")}
    path = tmp_path / "weights.safetensors"
    save_file(old, path)
    found = load(path)
    assert all(torch.equal(found[key], value) for key, value in old.items() if key in found)


def test_a_classifier_of_several_layers_is_left_out(tmp_path: Path) -> None:
    name = "deit_tiny_distilled_patch16_224"
    model = timm.create_model(name, pretrained=False, num_classes=3)
    path = tmp_path / "weights.safetensors"
    save_file(model.state_dict(), path)
    assert same(load(path, name), model.state_dict())


@pytest.mark.parametrize("kind", ["missing", "unknown", "shape"])
def test_weights_that_do_not_fit_name_file_and_keys(kind: str, donor: dict[str, Tensor], tmp_path: Path) -> None:
    state = dict(donor)
    if kind == "missing":
        del state["conv1.0.weight"]
    elif kind == "unknown":
        state["extra.weight"] = torch.zeros(2)
    else:
        state["conv1.0.weight"] = torch.zeros(2)
    path = tmp_path / "odd.safetensors"
    save_file(state, path)
    key = "extra.weight" if kind == "unknown" else r"conv1\.0\.weight"
    with pytest.raises(WeightsError, match=rf"odd\.safetensors does not fit test_resnet: 1 keys.*{key}.*--backbone"):
        load(path)


def test_weights_of_another_model_show_only_some_keys(donor: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(donor, path)
    with pytest.raises(WeightsError, match=r"missing.*unknown") as caught:
        load(path, "test_vit")
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("ending", [".safetensors", ".pth"])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.99])
def test_truncated_file_is_named(ending: str, kept: float, donor: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / f"cut{ending}"
    if ending == ".pth":
        torch.save(donor, path)
    else:
        save_file(donor, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(WeightsError, match=r"cut\.\w+ is (not a complete|damaged)"):
        load(path)


def test_python_objects_are_not_unpickled(donor: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "objects.pth"
    torch.save({"model": donor, "args": argparse.Namespace(lr=1)}, path)
    with pytest.raises(WeightsError, match=r"objects\.pth.*besides tensors.*state_dict"):
        load(path)


def test_missing_file_ending_and_content_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no weights file .*nothing\.pth"):
        read_state_dict(tmp_path / "nothing.pth")
    (tmp_path / "weights.onnx").write_bytes(b"x")
    with pytest.raises(WeightsError, match=r"\.safetensors, \.pth or \.pt"):
        read_state_dict(tmp_path / "weights.onnx")
    torch.save([torch.zeros(2)], tmp_path / "list.pth")
    with pytest.raises(WeightsError, match="holds no state dict"):
        read_state_dict(tmp_path / "list.pth")


@pytest.mark.skipif(not SHARED.is_file(), reason="the shared weights are not beside this checkout")
def test_shared_mobilenet_fits_its_model_only() -> None:
    config = NetworkConfig("mobilenetv2_100", weights=SHARED, args=(("pad_type", "same"),))
    backbone = build_timm(config, image_size=64)
    assert backbone.num_features == 1280
    assert isinstance(backbone, TimmBackbone) and backbone.has_feature_map
    with pytest.raises(WeightsError, match="another shape"):
        build_timm(NetworkConfig("mobilenetv2_050", weights=SHARED))
