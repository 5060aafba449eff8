"""The registry of methods: one frozen record each. Free of torch, so that planning a sweep is fast.

A method's code is named by `target` and imported when a run builds it. Sources: the equations and options follow
Milbich et al., "Characterizing Generalization under Out-Of-Distribution Shifts in Deep Metric Learning" (NeurIPS
2021), and the paper that each record names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from oodml.errors import UnknownNameError
from oodml.records import Scalar


@dataclass(frozen=True)
class MethodInfo:
    """A registered method.

    Attributes:
        name: Registered name.
        target: "module:callable" that takes (Context, options) and returns a Method.
        summary: One line for `oodml methods`.
        paper: Where it comes from.
        family: "baseline", "pairs", "triplets" or "proxies".
        options: Own options with their defaults; `--set name.option=value` overrides them.
        dataset_options: Dataset name to the options that the study uses there.
        trains: False for a method that leaves the network as it is.
    """

    name: str
    target: str
    summary: str
    paper: str
    family: str
    options: Mapping[str, Scalar] = field(default_factory=dict)
    dataset_options: Mapping[str, Mapping[str, Scalar]] = field(default_factory=dict)
    trains: bool = True

    def resolve_options(self, dataset: str, overrides: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Defaults, then the dataset's, then the user's.

        Raises:
            UnknownNameError: If an override names no option of the method.
        """
        for option in overrides:
            if option not in self.options:
                raise UnknownNameError(f"option of method {self.name!r}", option, self.options)
        return {**self.options, **self.dataset_options.get(dataset, {}), **overrides}


_RECORDS = (
    MethodInfo(
        name="frozen",
        target="oodml.methods.frozen:Frozen",
        summary="Features of the network as it is, without training: the control.",
        paper="-",
        family="baseline",
        trains=False,
    ),
    MethodInfo(
        name="margin",
        target="oodml.methods.margin:Margin",
        summary="Margin loss with a learned boundary per class and distance-weighted negatives.",
        paper="Wu et al., Sampling Matters in Deep Embedding Learning, ICCV 2017",
        family="triplets",
        options={"beta": 1.2, "margin": 0.2, "beta_lr": 5e-4},
    ),
    MethodInfo(
        name="triplet",
        target="oodml.methods.triplet:Triplet",
        summary="Squared triplet loss with one random semi-hard negative per anchor.",
        paper="Schroff et al., FaceNet, CVPR 2015",
        family="triplets",
        options={"margin": 0.2},
    ),
    MethodInfo(
        name="contrastive",
        target="oodml.methods.contrastive:Contrastive",
        summary="Contrastive loss on distances with distance-weighted negatives.",
        paper="Hadsell et al., Dimensionality Reduction by Learning an Invariant Mapping, CVPR 2006",
        family="pairs",
        options={"pos_margin": 0.0, "neg_margin": 1.0},
    ),
    MethodInfo(
        name="multisimilarity",
        target="oodml.methods.catalog:multisimilarity",
        summary="Multi-similarity loss with its own pair mining.",
        paper="Wang et al., Multi-Similarity Loss with General Pair Weighting, CVPR 2019",
        family="pairs",
        options={"alpha": 2.0, "beta": 40.0, "base": 0.5, "epsilon": 0.1},
    ),
    MethodInfo(
        name="arcface",
        target="oodml.methods.catalog:arcface",
        summary="Softmax over class vectors with an additive angular margin (radians).",
        paper="Deng et al., ArcFace, CVPR 2019",
        family="proxies",
        options={"margin": 0.5, "scale": 16.0, "class_lr": 5e-4},
    ),
    MethodInfo(
        name="proxy_anchor",
        target="oodml.methods.catalog:proxy_anchor",
        summary="One proxy per class as anchor, all samples of the batch as positives and negatives.",
        paper="Kim et al., Proxy Anchor Loss for Deep Metric Learning, CVPR 2020",
        family="proxies",
        options={"margin": 0.1, "alpha": 32.0, "class_lr": 2e-2},
    ),
)

CARDS: dict[str, MethodInfo] = {record.name: record for record in _RECORDS}
