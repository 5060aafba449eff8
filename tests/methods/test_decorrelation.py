"""Adversarial decorrelation against values of the study's code and a re-derivation in loops.

`tests/golden/diva_reference.npz` holds what ooDML's implementation computes on small random inputs (float32 on the
CPU): two parts of `shared/reference/fixtures/reference_values.npz` under the names they have there. To make it again,
from the root of the project:

    python -c "
    import numpy as np
    f = np.load('../shared/reference/fixtures/reference_values.npz')
    kept = {k: f[k] for k in f.files if k.split('/')[0] in ('decorrelation', 'dance')}
    np.savez_compressed('tests/golden/diva_reference.npz', **kept)"
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from naive_losses import naive_decorrelation, unit
from torch import Tensor, nn

from oodml.methods.decorrelation import Decorrelation, regressor, reverse_gradient, weight_for_width

GOLDEN = Path(__file__).parents[1] / "golden" / "diva_reference.npz"
FIXTURE = Path(__file__).parents[3] / "shared" / "reference" / "fixtures" / "reference_values.npz"
SOURCES = ("selfsimilarity", "shared")


def part(network: nn.Module, source: str) -> nn.Sequential:
    found = network.get_submodule(f"regressors.{source}")
    assert isinstance(found, nn.Sequential)
    return found


def test_loss_and_all_gradients_equal_those_of_the_study() -> None:
    golden = {k.split("/", 1)[1]: torch.from_numpy(v) for k, v in np.load(GOLDEN).items() if k.startswith("decorr")}
    weights = dict(zip(SOURCES, golden["rho"].double().tolist(), strict=True))
    term = Decorrelation(weights, dim=8, hidden=32)
    for source in SOURCES:
        name = f"param_regressors.{source}-discriminative."
        part(term, source).load_state_dict({k[len(name) :]: v for k, v in golden.items() if k.startswith(name)})
    z = {name: golden[f"z_{name}"].clone().requires_grad_() for name in ("discriminative", *SOURCES)}
    loss = term(z["discriminative"], z)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(golden["loss"]), abs=1e-4)
    for name, tensor in z.items():
        assert tensor.grad is not None
        torch.testing.assert_close(tensor.grad, golden[f"grad_{name}"], atol=1e-4, rtol=0)
    for source in SOURCES:
        for name, parameter in part(term, source).named_parameters():
            wanted = golden[f"gradparam_regressors.{source}-discriminative.{name}"]
            torch.testing.assert_close(parameter.grad, wanted, atol=1e-4, rtol=0)


def test_the_golden_file_is_a_copy() -> None:
    if not FIXTURE.exists():
        pytest.skip("needs ../shared/reference")
    fixture, golden = np.load(FIXTURE), np.load(GOLDEN)
    for name in golden.files:
        np.testing.assert_array_equal(golden[name], fixture[name])


def example() -> tuple[Decorrelation, dict[str, Tensor]]:
    torch.manual_seed(0)
    term = Decorrelation({"a": 3.0, "b": 0.5}, dim=6, hidden=7)
    return term, {name: unit(5, 6, seed).requires_grad_() for seed, name in enumerate(("target", "a", "b", "unused"))}


def test_the_loss_is_minus_the_weighted_mean_square_of_products() -> None:
    term, z = example()
    wanted = -sum(
        weight * naive_decorrelation(z["target"], z[name], part(term, name))
        for name, weight in (("a", 3.0), ("b", 0.5))
    )
    assert float(term(z["target"], z).detach()) == pytest.approx(wanted, abs=1e-6)


def test_gradients_of_both_inputs_are_reversed_and_those_of_the_regressors_are_not() -> None:
    term, z = example()
    regressors = list(term.parameters())
    inputs = [z["target"], z["a"], z["b"]]

    def plain() -> Tensor:  # no reversal
        total = torch.zeros(())
        for name, weight in (("a", 3.0), ("b", 0.5)):
            predicted = nn.functional.normalize(part(term, name)(nn.functional.normalize(z[name], dim=1)), dim=1)
            total = total - weight * (nn.functional.normalize(z["target"], dim=1) * predicted).square().mean()
        return total

    found = torch.autograd.grad(term(z["target"], z), [*inputs, *regressors])
    wanted = torch.autograd.grad(plain(), [*inputs, *regressors])
    for i, (ours, theirs) in enumerate(zip(found, wanted, strict=True)):
        assert theirs.abs().max() > 1e-5
        torch.testing.assert_close(ours, -theirs if i < len(inputs) else theirs)


def test_reversal_keeps_values_and_turns_gradients() -> None:
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    y = reverse_gradient(x)
    assert torch.equal(y, x)
    (y * torch.tensor([3.0, 5.0])).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [-3, -5]


def test_regressors_have_one_hidden_layer_of_512() -> None:
    assert [tuple(p.shape) for p in regressor(128).parameters()] == [(512, 128), (512,), (128, 512), (128,)]


def test_a_scaled_weight_gives_terms_of_one_size_at_all_widths() -> None:
    assert weight_for_width(1500, 128) == 1500 and weight_for_width(1500, 64) == 375
    sizes = []
    for dim in (16, 128, 1024):
        a, b = unit(2000, dim, 1), unit(2000, dim, 2)
        sizes.append(weight_for_width(1.0, dim) * float((a * b).square().mean()))
    assert max(sizes) < 1.1 * min(sizes)
