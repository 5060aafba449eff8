"""Networks on small pictures with random weights, and few-shot training of a tiny network in plain loops."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import torch
from adapter_case import NoisySource
from method_case import DIM
from torch import Tensor

from oodml import registry
from oodml.adapters.base import Problem, Trained
from oodml.adapters.criteria import make_criterion
from oodml.backbones.base import Backbone
from oodml.backbones.timm_models import build_timm, freeze_batch_norm
from oodml.backbones.vectors import VectorBackbone
from oodml.methods.base import Context
from oodml.model import Network, extract
from oodml.networks import NetworkConfig

BETA, MARGIN = 1.2, 0.2
SIDE, CLASSES, IMAGES, DRAWS = 32, 3, 5, 20


def network_on(backbone: Backbone, method: str = "margin") -> Network:
    """A method on a backbone, for `CLASSES` training classes."""
    card = registry.load("method", method)
    context = Context(backbone.num_features, DIM, CLASSES, torch.Generator().manual_seed(0))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Network(backbone, card.build(context, card.resolve_options("glyphs", {})))


@cache
def pictured(name: str, *, freeze: bool = False) -> Trained:
    """A timm network by name with the margin method, on noisy pictures (15, 3, 32, 32) of three classes."""
    backbone = build_timm(NetworkConfig(name, pretrained=False), image_size=SIDE)
    for layer in backbone.modules():
        if isinstance(layer, torch.nn.BatchNorm2d) and not layer.weight.any():
            torch.nn.init.constant_(layer.weight, 0.5)  # as after training: at 0 a residual branch gets no gradient
    if freeze:
        freeze_batch_norm(backbone)
    rng, labels = np.random.default_rng(0), np.repeat(np.arange(CLASSES), IMAGES)
    pictures = rng.normal(size=(CLASSES, 3, SIDE, SIDE))[labels] + rng.normal(size=(len(labels), 3, SIDE, SIDE))
    source = NoisySource(pictures.astype(np.float32), 0.1)
    rows = np.arange(len(labels))
    return Trained(f"{name} {freeze}", network_on(backbone), source, rows, labels, rows, labels)


def on_vectors(model: Trained, method: str) -> Trained:
    """The test images of a model as ready-made vectors, under a method without a backbone to train."""
    backbone = VectorBackbone(model.source.test_inputs(model.rows[:1]).shape[1])
    network = network_on(backbone, method)
    parts = (model.source, model.rows, model.labels, model.base_rows, model.base_labels)
    return Trained("vectors", network, *parts, augments=False)


def zero_shot(problem: Problem) -> Tensor:
    """Embeddings of the queries under the network as it is, in batches as an adapter embeds them."""
    model = problem.model
    return extract(model.network, model.source, model.rows[problem.queries], model.network.method.embed)


def support_loss(problem: Problem, network: Network, criterion: str) -> float:
    """What a criterion makes of the whole support as it is, over a few draws of the mining."""
    images = problem.support.ravel()
    z = extract(network, problem.model.source, problem.model.rows[images], network.method.embed)
    labels = torch.from_numpy(problem.model.labels[images])
    losses = make_criterion("test", {"criterion": criterion, "beta": BETA, "margin": MARGIN})
    uniform = torch.rand(DRAWS, len(z), losses.draws, generator=torch.Generator().manual_seed(0))
    return float(losses(z.expand(DRAWS, -1, -1), labels.expand(DRAWS, -1), uniform).mean())


def _margin_loss(z: Tensor, labels: Sequence[int], uniform: Tensor) -> Tensor:
    """Distance-weighted triplets and their margin loss, anchor by anchor."""
    dim, terms, still = z.shape[1], [], z.detach()
    for i, label in enumerate(labels):
        positives = [j for j in range(len(labels)) if labels[j] == label and j != i]
        negatives = [j for j in range(len(labels)) if labels[j] != label]
        if not negatives:
            return z.sum() * 0
        distances = [min(max(float((still[i] - still[j]).norm()), 0.5), 1.999) for j in negatives]
        weights = [d ** (2 - dim) * (1 - d * d / 4) ** ((3 - dim) / 2) for d in distances]
        left, n = (1 - float(uniform[i, 0])) * math.fsum(weights), 0
        while left > weights[n]:
            left -= weights[n]
            n += 1
        p = positives[int(float(uniform[i, 1]) * len(positives))]
        terms.append(((z[i] - z[p]).square().sum() + 1e-8).sqrt() - BETA + MARGIN)
        terms.append(BETA - ((z[i] - z[negatives[n]]).square().sum() + 1e-8).sqrt() + MARGIN)
    active = [term for term in terms if term > 0]
    return torch.stack([z.sum() * 0, *active]).sum() / max(1, len(active))


def train_in_loops(
    problem: Problem, embed: Callable[[Tensor], Tensor], leaves: Sequence[Tensor], steps: int, batch: int, lr: float
) -> None:
    """Adam on leaves that `embed` uses, with the draws that a problem gets; images one by one, noise as they come."""
    (c, k), source = problem.support.shape, problem.model.source
    assert isinstance(source, NoisySource)
    generator, augmentation = problem.generator("batches"), problem.generator("augmentation")
    classes = torch.randint(c, (steps, batch // 2, 1), generator=generator)
    members = torch.randint(k, (steps, batch // 2, 2), generator=generator)
    uniform = torch.rand(steps, batch, 2, generator=problem.generator("mining"))
    moments = [(torch.zeros_like(leaf), torch.zeros_like(leaf)) for leaf in leaves]
    for step in range(steps):
        labels = [int(classes[step, place // 2, 0]) for place in range(batch)]
        images = [problem.support[labels[i], int(members[step, i // 2, i % 2])] for i in range(batch)]
        clean = source.vectors[torch.from_numpy(problem.model.rows[images])]
        inputs = clean + source.noise * torch.randn(clean.shape, generator=augmentation)
        z = torch.cat([embed(row[None]) for row in inputs])
        slopes = torch.autograd.grad(_margin_loss(z, labels, uniform[step]), leaves)
        with torch.no_grad():
            for leaf, slope, (mean, square) in zip(leaves, slopes, moments, strict=True):
                mean.mul_(0.9).add_(0.1 * slope)
                square.mul_(0.999).add_(0.001 * slope**2)
                rescaled = (square / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8
                leaf -= lr * mean / (1 - 0.9 ** (step + 1)) / rescaled
