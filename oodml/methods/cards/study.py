"""The eight methods of ooDML (Milbich et al., NeurIPS 2021), options and learning rates as in its scripts."""

from __future__ import annotations

from oodml.methods.cards.record import MethodInfo

MARGIN_EQUATION = "[d(a,p) - beta_y(a) + m]+ + [beta_y(a) - d(a,n) + m]+, summed over triplets, over the active terms"

STUDY = (
    MethodInfo(
        name="margin",
        target="oodml.methods.margin:Margin",
        summary="Margin loss with a learned boundary per class and distance-weighted negatives.",
        paper="Wu et al., Sampling Matters in Deep Embedding Learning, ICCV 2017",
        family="triplets",
        group="study",
        equation=f"{MARGIN_EQUATION}; n drawn by the inverse density of distances on the sphere",
        options={"beta": 1.2, "margin": 0.2, "beta_lr": 5e-4, "published": False},
        notes="published=true divides by the triplets with an active term instead of by the active terms: the original "
        "adds two boolean masks, which torch reads as an OR.",
    ),
    MethodInfo(
        name="multisimilarity",
        target="oodml.methods.multisimilarity:Multisimilarity",
        summary="Multi-similarity loss with its own pair mining.",
        paper="Wang et al., Multi-Similarity Loss with General Pair Weighting, CVPR 2019",
        family="pairs",
        group="study",
        equation="mean over anchors of log(1 + sum_P exp(-alpha (s - base))) / alpha + "
        "log(1 + sum_N exp(beta (s - base))) / beta; P: positives with s - epsilon below the hardest negative, "
        "N: negatives with s + epsilon above the hardest positive",
        options={"alpha": 2.0, "beta": 40.0, "base": 0.5, "epsilon": 0.1, "published": False},
        notes="Negative weight 40 as in the study (50 in the paper). published=true takes each of the two means over "
        "the anchors with a non-empty set only; the paper divides by all anchors.",
    ),
    MethodInfo(
        name="arcface",
        target="oodml.methods.arcface:ArcFace",
        summary="Softmax over class vectors with an additive angular margin (radians).",
        paper="Deng et al., ArcFace, CVPR 2019",
        family="proxies",
        group="study",
        equation="cross-entropy of scale cos(theta_y + margin) against scale cos(theta_c), theta the angle to a class "
        "vector",
        options={"margin": 0.5, "scale": 16.0, "class_lr": 5e-4, "published": False},
        notes="published=true clamps cosines to [1e-10, 1] as the original does: negative ones then give no gradient, "
        "and angles beyond pi - margin are not corrected.",
    ),
    MethodInfo(
        name="proxy_anchor",
        target="oodml.methods.proxy_anchor:ProxyAnchor",
        summary="One proxy per class as anchor, all samples of the batch as positives and negatives.",
        paper="Kim et al., Proxy Anchor Loss for Deep Metric Learning, CVPR 2020",
        family="proxies",
        group="study",
        equation="mean over present proxies of log(1 + sum_P exp(-alpha (s - margin))) + mean over all proxies of "
        "log(1 + sum_N exp(alpha (s + margin)))",
        options={"margin": 0.1, "alpha": 32.0, "class_lr": 2e-2, "published": False},
        training={"sop": {"warmup_epochs": 1}},
        notes="published=true takes the first mean over samples: a class drawn twice counts twice.",
    ),
)
