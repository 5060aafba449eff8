"""The registry of adapters: one frozen record each. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from oodml import registry
from oodml.errors import UnknownNameError
from oodml.options import coerce_all
from oodml.records import Scalar


@dataclass(frozen=True)
class AdapterInfo:
    """A registered adapter.

    Attributes:
        name: Registered name.
        target: "module:callable" that takes resolved options and returns an `oodml.adapters.base.Adapter`.
        summary: One line for `oodml adapters`.
        paper: Where it comes from: authors, title, venue, year; "-" for a control or our own.
        works_on: What it changes: "embeddings" (closed form, milliseconds), "heads" (trains on kept features) or
            "network" (trains on images, one problem after the other).
        equation: What it computes, in one or two lines of plain text.
        options: Options with their defaults; `--adapters NAME:OPTION=VALUE` overrides them.
        notes: What to know.
    """

    name: str
    target: str
    summary: str
    paper: str
    works_on: str
    equation: str = ""
    options: Mapping[str, Scalar] = field(default_factory=dict)
    notes: str = ""

    def resolve_options(self, overrides: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Defaults, then the user's.

        Raises:
            UnknownNameError: If an override names no option of the adapter.
            UsageError: If a value has another type than the default.
        """
        for option in overrides:
            if option not in self.options:
                raise UnknownNameError(f"option of adapter {self.name!r}", option, self.options)
        return {**self.options, **coerce_all(self.name, overrides, self.options)}

    def build(self, options: Mapping[str, Scalar]) -> Any:
        """The adapter with resolved options."""
        return registry.resolve(self.target)(options)


NONE = AdapterInfo(
    "none",
    "oodml.adapters.none:NoAdapter",
    "The network as it is, on the query images of every episode: what gains are measured against.",
    "-",
    "embeddings",
    "z' = z",
)

PULL = {"weight": 1.0, "temperature": 0.05}  # as strong as the embedding, as sharp as normalised softmax

PROTOTYPES = AdapterInfo(
    "prototypes",
    "oodml.adapters.prototypes:Prototypes",
    "Draws every query towards the class means of the support, weighted by how near they are.",
    "Snell, Swersky, Zemel: Prototypical Networks for Few-shot Learning, NeurIPS 2017 (the means; the pull is ours)",
    "embeddings",
    "z' = n(z + weight sum_c w_c p_c), w = softmax_c(cos(z, p_c) / temperature); p_c: class means, n: to unit length",
    PULL,
    "weight=0 changes nothing. Temperature: the 0.05 of normalised softmax (Zhai and Wu, BMVC 2019).",
)
WHITENING = AdapterInfo(
    "whitening",
    "oodml.adapters.whitening:Whitening",
    "Scales down the directions in which images of one class differ.",
    "Hatch, Kajarekar, Stolcke: Within-Class Covariance Normalization, Interspeech 2006; shrinkage: Chen, Wiesel, "
    "Eldar, Hero, IEEE Trans. Signal Processing 2010",
    "embeddings",
    "z' = n(z W), W W^T = ((1 - s) S + s (tr S / d) I)^-1; S: covariance about the class means, s: shrinkage",
    {"shrinkage": "auto"},
    'shrinkage is "auto" or a number in [0, 1]; 1 changes nothing, and neither does one shot, which shows no S.',
)
LDA = AdapterInfo(
    "lda",
    "oodml.adapters.lda:Lda",
    "Whitens within classes, then keeps the directions that the class means span.",
    "Fisher: The Use of Multiple Measurements in Taxonomic Problems, Annals of Eugenics 1936; shrinkage as whitening",
    "embeddings",
    "z' = n(((z - m) W) V), W as in whitening, V: main directions of ((p_c - m) W)_c, m: mean of the class means p_c",
    {"shrinkage": "auto", "dims": 0},
    "Keeps min(c - 1, d) dimensions, or dims if that is less and not 0. Two classes leave a sign.",
)
RIDGE = AdapterInfo(
    "ridge",
    "oodml.adapters.ridge:Ridge",
    "Adds scores of a ridge regression to the classes to the embedding.",
    "Bertinetto, Henriques, Torr, Vedaldi: Meta-learning with Differentiable Closed-form Solvers, ICLR 2019 "
    "(the solver, without meta-learning)",
    "embeddings",
    "z' = [sqrt(1 - mix) z, sqrt(mix) n((z - m) A)], A = (X^T X + l I)^-1 X^T Y, X, Y: centred support and classes; "
    "l = penalty tr(X^T X) / min(n, d)",
    {"penalty": 1.0, "mix": 0.5},
    "Cosines are (1 - mix) cos(z, z') + mix cos(s, s') with s the scores; mix=1 keeps the scores alone.",
)
TEEN = AdapterInfo(
    "teen",
    "oodml.adapters.teen:Teen",
    "prototypes with class means that are corrected by those of similar training classes.",
    "Wang, Zhou, Zhang, Zhan, Ye: Few-Shot Class-Incremental Learning via Training-Free Prototype Calibration, "
    "NeurIPS 2023 (the calibration; the pull is ours)",
    "embeddings",
    "p' = alpha p + (1 - alpha) sum_b softmax_b(tau cos(p_b, p)) p_b over training classes b; then as prototypes",
    {"alpha": 0.5, "tau": 16.0, **PULL},
    "alpha=1 is prototypes.",
)
TIP = AdapterInfo(
    "tip",
    "oodml.adapters.tip:Tip",
    "prototypes whose weights also count how near the single labelled images are.",
    "Zhang, Zhang, Fang, Gao, Li, Dai, Qiao, Li: Tip-Adapter, ECCV 2022 (the cache; class means stand in for its text "
    "classifier, and the pull is ours)",
    "embeddings",
    "w = softmax_c(cos(z, p_c) / temperature + alpha sum_{i in c} exp(-beta (1 - cos(z, x_i)))); then as prototypes",
    {"alpha": 1.0, "beta": 5.5, **PULL},
    "alpha=0 is prototypes. Training-free: the variant that tunes the keys is not here.",
)

FINE_TUNING: dict[str, Scalar] = {
    "steps": 0,
    "lr": 1e-4,
    "batch_size": 112,
    "criterion": "margin",
    "beta": 1.2,
    "margin": 0.2,
}

LINEAR = AdapterInfo(
    "linear",
    "oodml.adapters.linear:Linear",
    "Fine-tunes the last linear layers on the support: what Milbich et al. do in every episode.",
    "Milbich, Roth, Sinha, Schmidt, Ghassemi, Ommer: Characterizing Generalization under Out-Of-Distribution Shifts in "
    "Deep Metric Learning, NeurIPS 2021",
    "heads",
    "Adam on the heads that the embedding is made of: 1000 steps for up to 2 shots, 1500 for more, of 56 random "
    "classes with 2 images each; the margin loss with distance-weighted mining and a boundary that stays",
    {"views": 16, "online": False, **FINE_TUNING},
    "Picks from kept features of `views` augmented views of every support image. online=true is the protocol to the "
    "letter: every step augments the images anew and runs the backbone on them. steps=0: as published. criterion: "
    "margin, multisimilarity or triplet. A method without a head gets a square layer that starts as the identity.",
)

FULL = AdapterInfo(
    "full",
    "oodml.adapters.full:Full",
    "Fine-tunes the whole network on the support, in training mode.",
    "Milbich, Roth, Sinha, Schmidt, Ghassemi, Ommer: Characterizing Generalization under Out-Of-Distribution Shifts in "
    "Deep Metric Learning, NeurIPS 2021 (an option of their code)",
    "network",
    "Adam on all parameters of backbone and heads, otherwise as linear with online=true",
    FINE_TUNING,
    "Batch norms use the statistics of the batch, or stay as they are where the run kept them so. steps=0: as "
    "published. criterion: margin, multisimilarity or triplet.",
)
LORA = AdapterInfo(
    "lora",
    "oodml.adapters.lora:Lora",
    "Trains low-rank updates of all linear and convolution layers on the support.",
    "Hu, Shen, Wallis, Allen-Zhu, Li, Wang, Wang, Chen: LoRA: Low-Rank Adaptation of Large Language Models, ICLR 2022 "
    "(there on attention weights; convolutions and heads are ours)",
    "network",
    "W' = W + (alpha / rank) B A, B = 0 at first; Adam on A and B, otherwise as linear with online=true",
    {"rank": 4, "alpha": 4.0, **FINE_TUNING},
    "Eval mode: batch norms use their running statistics. The weight of a convolution counts as a matrix with a row "
    "per output channel, with groups as well. Biases and norms stay as they are.",
)

CARDS: dict[str, AdapterInfo] = {
    record.name: record for record in (NONE, PROTOTYPES, WHITENING, LDA, RIDGE, TEEN, TIP, LINEAR, FULL, LORA)
}
