from __future__ import annotations

import copy
import socket
from pathlib import Path

import pytest
import timm
import torch
from torch import nn

from oodml.backbones import build_backbone, check_backbone, list_backbones, timm_models
from oodml.backbones.base import NetworkConfig, normalise
from oodml.backbones.timm_models import TimmBackbone, build_timm, freeze_batch_norm
from oodml.errors import UnknownNameError, UsageError, WeightsError

SCRATCH = NetworkConfig("test_resnet", pretrained=False)


def scratch(name: str, **args: str | int | bool) -> NetworkConfig:
    return NetworkConfig(name, pretrained=False, args=tuple(args.items()))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object, **__: object) -> socket.socket:
        raise OSError("no route")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr("oodml.backbones.weights.getproxies", dict)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)


@pytest.mark.parametrize(
    ("name", "size", "width", "side"),
    [
        ("test_resnet", 32, 96, 1),
        ("test_resnet", 64, 96, 2),
        ("test_efficientnet", 64, 256, 2),
        ("test_vit", 32, 64, None),  # tokens
        ("test_mambaout", 64, 256, None),  # channels last, and an MLP after pooling widens 64 to 256
        ("mobilenetv3_small_050", 64, 1024, None),  # a layer after pooling widens 288 to 1024
    ],
)
def test_features_have_the_true_width_and_a_map_only_where_it_fits(
    name: str, size: int, width: int, side: int | None
) -> None:
    backbone = build_timm(scratch(name), image_size=size).eval()
    with torch.no_grad():
        features = backbone(torch.randn(2, 3, size, size))
    assert backbone.num_features == width
    assert features.pooled.shape == (2, width)
    if side is None:
        assert features.feature_map is None
    else:
        assert features.feature_map is not None
        assert features.feature_map.shape == (2, width, side, side)


def test_pooled_features_are_the_mean_of_the_map() -> None:
    backbone = build_timm(SCRATCH, image_size=64).eval()
    with torch.no_grad():
        features = backbone(torch.randn(2, 3, 64, 64))
    assert features.feature_map is not None
    torch.testing.assert_close(features.pooled, features.feature_map.mean((2, 3)))


def test_width_probe_leaves_statistics_and_mode_alone() -> None:
    backbone = build_timm(SCRATCH)
    assert backbone.training
    assert all(module.training for module in backbone.modules())
    counts = [value for key, value in backbone.state_dict().items() if key.endswith("num_batches_tracked")]
    assert counts and all(int(value) == 0 for value in counts)


def test_initial_weights_follow_the_seed_and_no_global_generator() -> None:
    torch.manual_seed(5)
    first = build_timm(SCRATCH, generator_seed=1).state_dict()
    drawn = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(3))  # building drew nothing from it
    again = build_timm(SCRATCH, generator_seed=1).state_dict()
    other = build_timm(SCRATCH, generator_seed=2).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


def test_normalisation_is_the_models_own_unless_given() -> None:
    own = build_timm(scratch("test_efficientnet"))
    assert own.mean == (0.485, 0.456, 0.406)
    assert own.std == (0.229, 0.224, 0.225)
    assert own.input_size == 160
    given = build_timm(NetworkConfig("test_resnet", pretrained=False, mean=(0.25,), std=(0.1, 0.2, 0.4)))
    assert given.mean == (0.25, 0.25, 0.25)
    assert given.std == (0.1, 0.2, 0.4)
    with pytest.raises(UsageError, match="--std"):
        build_timm(NetworkConfig("test_resnet", pretrained=False, std=(0.0, 0.2, 0.4)))


def test_normalise_by_hand() -> None:
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    values = normalise(images, (0.5, 0.2, 0.0), (0.5, 0.1, 0.25)).flatten()
    torch.testing.assert_close(values, torch.tensor([-1.0, 0.0, 4.0]))


def test_constructor_keywords_reach_the_model_and_wrong_ones_are_named() -> None:
    plain = build_timm(scratch("mobilenetv2_050"), image_size=32)
    same = build_timm(scratch("mobilenetv2_050", pad_type="same"), image_size=32)
    paddings = [type(next(m for m in net.modules() if isinstance(m, nn.Conv2d))) for net in (plain, same)]
    assert paddings[0] is nn.Conv2d and paddings[1] is not nn.Conv2d
    with pytest.raises(UsageError, match="pad_tpye"):
        build_timm(scratch("mobilenetv2_050", pad_tpye="same"))
    with pytest.raises(UsageError, match="num_classes"):
        build_timm(scratch("mobilenetv2_050", num_classes=5))


def test_wrong_keyword_is_not_taken_for_missing_weights(offline: None) -> None:
    with pytest.raises(UsageError, match="no_such"):
        build_timm(NetworkConfig("test_resnet.r160_in1k", args=(("no_such", 1),)))


def test_fixed_size_transformer_is_adapted_or_refused() -> None:
    backbone = build_timm(scratch("test_vit"), image_size=64).eval()
    with torch.no_grad():
        assert backbone(torch.zeros(1, 3, 64, 64)).pooled.shape == (1, 64)
    assert backbone.input_size == 160
    with pytest.raises(UsageError, match=r"test_vit does not take images of 70 px.* 160"):
        build_timm(scratch("test_vit"), image_size=70)


def test_unknown_names_say_what_is_close() -> None:
    with pytest.raises(UnknownNameError, match=r"'resnt50'.*did you mean 'resnet50'"):
        build_backbone(NetworkConfig("resnt50"))
    with pytest.raises(UnknownNameError, match=r"resnet50\.tv_in1k"):
        build_backbone(NetworkConfig("resnet50.tv_in"))
    with pytest.raises(UnknownNameError, match=r"known: pixels, vectors \(`oodml backbones"):
        build_backbone(NetworkConfig("qqqqzzzz"))


def test_bare_name_with_pretrained_weights_lists_the_tags() -> None:
    for check in (build_backbone, check_backbone):
        with pytest.raises(WeightsError, match=r"'resnet50'.*resnet50\.a1_in1k.*resnet50\.tv_in1k"):
            check(NetworkConfig("resnet50"))
    with pytest.raises(WeightsError, match=r"no published weights.*--no-pretrained"):
        check_backbone(NetworkConfig("botnet50ts_256"))
    check_backbone(NetworkConfig("resnet50", pretrained=False))


@pytest.mark.parametrize("name", ["test_resnet.r160_in1k", "resnet50.tv_in1k"])
def test_offline_error_names_the_three_ways_out(name: str, offline: None) -> None:
    for check in (build_backbone, check_backbone):
        with pytest.raises(WeightsError, match=name) as caught:
            check(NetworkConfig(name))
        for way in ("--weights FILE", "--no-pretrained", "`pixels`", "does not answer"):
            assert way in str(caught.value)


def test_hub_switched_off_is_said(offline: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match=r"HF_HUB_OFFLINE.*--no-pretrained"):
        build_backbone(NetworkConfig("test_resnet.r160_in1k"))


def test_failed_download_is_a_weights_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("connection reset")

    monkeypatch.setattr(timm_models, "cached_or_reachable", lambda *_: None)
    monkeypatch.setattr(timm, "create_model", fail)
    with pytest.raises(WeightsError, match=r"connection reset.*--weights FILE"):
        build_timm(NetworkConfig("test_resnet.r160_in1k"))


@pytest.mark.parametrize("filename", ["model.safetensors", "pytorch_model.bin"])
def test_weights_in_the_hub_cache_are_used_offline(filename: str, offline: None, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    donor = timm.create_model("test_resnet", pretrained=False, num_classes=1000)
    commit = "0" * 40
    repository = tmp_path / "hub" / "models--timm--test_resnet.r160_in1k"
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    if filename.endswith("safetensors"):
        save_file(donor.state_dict(), snapshot / filename)
    else:
        torch.save(donor.state_dict(), snapshot / filename)
    config = NetworkConfig("test_resnet.r160_in1k")
    check_backbone(config)
    backbone = build_timm(config)
    assert isinstance(backbone, TimmBackbone)
    found = backbone.model.state_dict()
    assert all(torch.equal(value, donor.state_dict()[key]) for key, value in found.items())


def test_frozen_batch_norm_stays_in_eval_and_its_affine_weights_train() -> None:
    backbone = build_timm(SCRATCH, image_size=32)
    freeze_batch_norm(backbone)
    backbone.train()
    copied = copy.deepcopy(backbone)
    for network in (backbone, copied.train()):
        norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        assert norms and not any(norm.training for norm in norms)
        assert network.training
        before = [norm.running_mean.clone() for norm in norms if norm.running_mean is not None]
        network(torch.randn(4, 3, 32, 32)).pooled.sum().backward()
        after = [norm.running_mean for norm in norms if norm.running_mean is not None]
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
        assert all(norm.weight.grad is not None for norm in norms)


def test_vectors_pass_through_and_pixels_train_on_their_components() -> None:
    vectors = torch.randn(3, 5)
    for name in ("vectors", "pixels"):
        backbone = build_backbone(NetworkConfig(name), num_inputs=5)
        features = backbone(vectors)
        assert backbone.num_features == 5
        assert features.pooled is vectors and features.feature_map is None
        with pytest.raises(UsageError, match="width"):
            build_backbone(NetworkConfig(name))
        with pytest.raises(UsageError, match="--weights"):
            build_backbone(NetworkConfig(name, mean=(0.5,)), num_inputs=5)


def test_list_holds_registered_and_pretrained_names() -> None:
    rows = dict(list_backbones("mobilenetv2"))
    assert "224 x 224 px" in rows["mobilenetv2_100.ra_in1k"]
    assert all("mobilenetv2" in name for name in rows)
    assert [name for name, _ in list_backbones("pix")] == ["pixels"]
    everything = list_backbones()
    assert [name for name, _ in everything[:2]] == ["pixels", "vectors"]
    assert len({name for name, _ in everything}) == len(everything) > 1000
