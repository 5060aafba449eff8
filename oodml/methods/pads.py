"""Policy-adapted sampling (PADS, Roth et al., CVPR 2020)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from oodml.errors import UnknownNameError, UsageError
from oodml.methods.base import Context, TrainState, number
from oodml.methods.margin import Margin
from oodml.methods.mining import Triplets, pairwise_distances, random_positives
from oodml.methods.pads_policy import Policy
from oodml.records import Scalar

LOW, HIGH, EDGES = 0.1, 1.4, 30
LIKELY, RARE = (0.3, 0.7), 1e-15  # distances where negatives are drawn at first, and the weight of all others
SMALLEST, LARGEST = 1e-25, 1e25
METRICS = ("recall_at_1", "recall_at_2", "recall_at_4", "recall_at_8", "intra", "inter", "nmi")
REWARDS = {"recall": ("recall_at_1",), "nmi": ("nmi",), "both": ("recall_at_1", "nmi")}
HOLDOUTS = ("images", "classes")


def edges() -> Tensor:
    """Edges of the 29 bins of distances, shape (30,)."""
    return torch.linspace(LOW, HIGH, EDGES)


def bin_of(distances: Tensor) -> Tensor:
    """Bin of every distance, 0 to 28: the number of inner edges below it, so that the outer bins have no end."""
    return torch.bucketize(distances, edges()[1:-1].to(distances.device))


def initial_histogram() -> Tensor:
    """Weights of the bins at the start, shape (29,): 1 for those around the likely distances."""
    offset = edges()[:-1] + 2 / EDGES
    return torch.where((offset >= LIKELY[0]) & (offset <= LIKELY[1]), 1.0, RARE)


def multipliers(text: str) -> Tensor:
    """What the actions multiply a bin by, such as "0.8,1,1.25".

    Raises:
        UsageError: If it is not a list of two or more positive numbers.
    """
    try:
        values = torch.tensor([float(part) for part in text.split(",")])
    except ValueError:
        values = torch.zeros(1)
    if len(values) < 2 or not bool((values.isfinite() & (values > 0)).all()):
        raise UsageError(f"pads.actions takes two or more positive factors such as 0.8,1,1.25, got {text!r}")
    return values


def draw_negatives(weights: Tensor, generator: torch.Generator) -> Tensor:
    """One column per row with probability proportional to weights (b, b), at least one positive per row."""
    return torch.multinomial(weights / weights.amax(1, keepdim=True), 1, generator=generator).squeeze(1)


def hold_out_images(labels: Tensor, fraction: float, generator: torch.Generator) -> Tensor:
    """A random share of the images of every class that has four or more: at least two, and all but two at most.

    Two, since an image alone of its class finds nothing.

    Args:
        labels: Classes counted from 0, shape (n,), on the CPU.
        fraction: Share in (0, 1).
        generator: Where the draws come from.

    Returns:
        Mask of shape (n,).
    """
    counts = torch.bincount(labels)
    order = torch.rand(len(labels), generator=generator, device=generator.device).cpu().argsort()
    order = order[labels[order].argsort(stable=True)]
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(labels)) - (counts.cumsum(0) - counts)[labels[order]]
    wanted = (fraction * counts).round().clamp(min=2).minimum(counts - 2)
    return (rank < wanted[labels]) & (counts >= 4)[labels]


def hold_out_classes(labels: Tensor, fraction: float, generator: torch.Generator) -> Tensor:
    """All images of a random share of the classes, at least one and not all; those with two images or more come first.

    Arguments and result are those of `hold_out_images`.
    """
    counts = torch.bincount(labels)
    order = (torch.rand(len(counts), generator=generator, device=generator.device).cpu() + (counts < 2)).argsort()
    wanted = min(max(1, round(fraction * len(counts))), len(counts) - 1)
    chosen = torch.zeros(len(counts), dtype=torch.bool)
    chosen[order[:wanted]] = True
    return chosen[labels]


def scored_rows(labels: Tensor, held: Tensor, at_most: int, generator: torch.Generator) -> Tensor:
    """Rows of held-out images that are not alone in their class: random classes, each as a whole, up to a number.

    Args:
        labels: Classes counted from 0, shape (n,), on the CPU.
        held: Which images are held out, shape (n,).
        at_most: Rows at most; the class at the border is cut.
        generator: Where the order of the classes comes from.
    """
    counts = torch.bincount(labels[held], minlength=int(labels.max()) + 1)
    rows = (held & (counts >= 2)[labels]).nonzero().squeeze(1)
    place = torch.randperm(len(counts), generator=generator, device=generator.device).cpu()
    return rows[place[labels[rows]].argsort(stable=True)[: max(2, at_most)]]


class Pads(Margin):
    """Margin loss; the distances at which negatives are drawn follow a histogram that a policy adapts to validation."""

    def __init__(self, context: Context, options: Mapping[str, Scalar]) -> None:
        super().__init__(context, options)
        for option, known in (("reward", tuple(REWARDS)), ("holdout", HOLDOUTS)):
            if options[option] not in known:
                raise UnknownNameError(f"value of pads.{option}", str(options[option]), known)
        factors = multipliers(str(options["actions"]))
        self.register_buffer("factors", factors, persistent=False)
        self.register_buffer("histogram", initial_histogram())
        self.factors: Tensor
        self.histogram: Tensor
        self.policy = Policy(
            len(METRICS), len(factors), EDGES - 1, number(options, "policy_lr"), bool(options["published"])
        )
        self.validation = torch.empty(0, dtype=torch.int64)

    def own_optimizers(self) -> list[torch.optim.Optimizer]:
        """The policy's."""
        return [self.policy.optimizer]

    def mine(self, z: Tensor, labels: Tensor) -> Triplets:
        """One triplet per anchor, its negative weighted by the bin of its distance.

        With self-regularisation any sample may be the negative, and the anchor its own positive. Distances outside the
        histogram are drawn only where an anchor has no other, or in the published variant as part of the outer bins.
        """
        same = labels[:, None] == labels[None, :]
        regularised = bool(self.options["self_regularisation"])
        allowed = torch.ones_like(same) if regularised else ~same
        d, generator = pairwise_distances(z), self.context.generator
        if not self.options["published"]:
            inside = allowed & (d >= LOW) & (d <= HIGH)
            allowed = torch.where(inside.any(1, keepdim=True), inside, allowed)
        anchors = allowed.any(1).nonzero().squeeze(1)
        if len(anchors) == 0:
            return anchors, anchors, anchors
        weights = self.histogram[bin_of(d)].masked_fill(~allowed, 0)[anchors]
        negatives = draw_negatives(weights, generator)
        if not regularised:
            return anchors, random_positives(same, generator)[anchors], negatives
        return anchors, torch.multinomial(same.float(), 1, generator=generator).squeeze(1)[anchors], negatives

    def on_start(self, state: TrainState) -> None:
        """Holds images out of the training, validates the network as it is, and acts for the first time.

        Raises:
            UsageError: If there are too few images to hold any out.
        """
        labels, generator, fraction = state.labels, self.context.generator, number(self.options, "fraction")
        held = torch.zeros(len(labels), dtype=torch.bool)
        if self.options["holdout"] == "images":
            held = hold_out_images(labels, fraction, generator)
        if not held.any():
            held = hold_out_classes(labels, fraction, generator)
        self.validation = scored_rows(labels, held, int(number(self.options, "val_size")), generator)
        if len(self.validation) == 0:
            raise UsageError("pads holds out training images: it needs a class of 4, or 2 classes of which one has 2")
        kept = (~held).nonzero().squeeze(1)
        state.batches = (kept[picked] for picked in state.make_sampler(labels[kept]))
        self._act(*self._observe(state))

    def after_step(self, state: TrainState) -> None:
        """Every so many steps: validate, learn from the change, act."""
        if state.step % max(1, int(number(self.options, "every"))) == 0:
            seen, metric = self._observe(state)
            self.policy.learn(seen, metric)
            self._act(seen, metric)

    def _observe(self, state: TrainState) -> tuple[Tensor, float]:
        """The policy's state after another validation, and the mean of the rewarded metrics."""
        scores = state.score(self.validation, METRICS)
        # distances between classes are not defined where a single class is scored
        self.policy.observations.add([0.0 if math.isnan(scores[name]) else scores[name] for name in METRICS])
        rewarded = REWARDS[str(self.options["reward"])]
        seen = self.policy.observations.state(self.probabilities(), state.step / state.num_steps)
        return seen, sum(scores[name] for name in rewarded) / len(rewarded)

    def _act(self, seen: Tensor, metric: float) -> None:
        self.apply_actions(self.policy.act(seen, metric, self.context.generator))

    def probabilities(self) -> Tensor:
        """The histogram with sum 1, shape (29,)."""
        return self.histogram / self.histogram.sum()

    def apply_actions(self, actions: Tensor) -> None:
        """Multiplies every bin by the factor of its action, shape (29,), within bounds."""
        self.histogram.mul_(self.factors[actions]).clamp_(SMALLEST, LARGEST)
