"""Further systems, and the controls that any of them has to beat."""

from __future__ import annotations

from oodml.methods.cards.record import MethodInfo

SYSTEMS = (
    MethodInfo(
        name="frozen",
        target="oodml.methods.frozen:Frozen",
        summary="Features of the network as it is, without training: the control.",
        paper="-",
        family="baseline",
        equation="no loss; the embedding is the pooled feature at unit length",
        trains=False,
        trains_backbone=False,
    ),
    MethodInfo(
        name="triplet",
        target="oodml.methods.triplet:Triplet",
        summary="Squared triplet loss with one random semi-hard negative per anchor.",
        paper="Schroff et al., FaceNet, CVPR 2015; one triplet per anchor as in Milbich et al., NeurIPS 2021",
        family="triplets",
        equation="mean over triplets of [d(a,p)^2 - d(a,n)^2 + margin]+; n random with "
        "d(a,p) < d(a,n) < d(a,p) + margin",
        options={"margin": 0.2},
    ),
    MethodInfo(
        name="contrastive",
        target="oodml.methods.contrastive:Contrastive",
        summary="Contrastive loss on distances with distance-weighted negatives.",
        paper="Hadsell et al., Dimensionality Reduction by Learning an Invariant Mapping, CVPR 2006",
        family="pairs",
        equation="mean of [d(a,p) - pos_margin]+ + mean of [neg_margin - d(a,n)]+",
        options={"pos_margin": 0.0, "neg_margin": 1.0},
    ),
)
