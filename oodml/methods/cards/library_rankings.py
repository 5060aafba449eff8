"""Losses of pytorch-metric-learning on rankings of the batch and on distributions of its similarities."""

from __future__ import annotations

from oodml.methods.cards.library_record import LibraryLoss, Option, Part, Term

LIBRARY_RANKINGS = (
    LibraryLoss(
        name="fast_ap",
        summary="Average precision in a closed form on histograms of distances.",
        paper="Cakir et al., Deep Metric Learning to Rank, CVPR 2019",
        family="rankings",
        equation="mean over queries of 1 - sum_b h_b H_b / (A_b |P|): h_b positives of a soft bin of d^2, H_b those up "
        "to it, A_b all samples up to it",
        options={"num_bins": 10},
        terms=(Term(Part("FastAPLoss", {"num_bins": Option("num_bins")})),),
    ),
    LibraryLoss(
        name="smooth_ap",
        summary="Average precision with ranks counted by sigmoids.",
        paper="Brown et al., Smooth-AP: Smoothing the Path Towards Large-Scale Image Retrieval, ECCV 2020",
        family="rankings",
        equation="mean over queries of 1 - mean over positives i of (1 + sum over positives j of sigmoid((s_j - s_i) / "
        "t)) / (1 + sum over all j of the same), t the temperature",
        options={"temperature": 0.01},
        terms=(Term(Part("SmoothAPLoss", {"temperature": Option("temperature")})),),
        notes="The library's class is right only with as many samples per class as classes in the batch; written anew "
        "for any batch. As in the authors' code a query retrieves itself.",
    ),
    LibraryLoss(
        name="pnp",
        summary="Penalises only the negatives ranked before positives.",
        paper="Li et al., Rethinking the Optimization of Average Precision: Only Penalizing Negative Instances before "
        "Positive Ones is Enough, AAAI 2022",
        family="rankings",
        equation="mean over queries and positives of R = sum over negatives n of sigmoid((s_n - s_p) / anneal); "
        "variants Ds log(1 + R), Dq 1 - (1 + R)^-alpha, Iu (1 + R) log(1 + R), Ib (b R - log(1 + b R)) / b^2",
        options={"variant": "O", "anneal": 0.01, "alpha": 1.0, "b": 2.0},
        terms=(
            Term(
                Part(
                    "PNPLoss",
                    {
                        "variant": Option("variant"),
                        "anneal": Option("anneal"),
                        "alpha": Option("alpha"),
                        "b": Option("b"),
                    },
                )
            ),
        ),
        notes="Variant O is the library's default. A query counts among its own positives.",
    ),
    LibraryLoss(
        name="ranked_list",
        summary="Positives into a ball, negatives out of a larger one, nearer negatives weighted more.",
        paper="Wang et al., Ranked List Loss for Deep Metric Learning, CVPR 2019",
        family="rankings",
        equation="mean over anchors of (1 - imbalance) x weighted mean of d - (alpha - margin) over the positives "
        "beyond it + imbalance x weighted mean of alpha - d over the negatives within alpha; weights "
        "exp(negative_scale (alpha - d)) of negatives, exp(positive_scale (d - alpha + margin)) of positives",
        options={
            "margin": 0.4,
            "alpha": 1.2,
            "negative_scale": 10.0,
            "positive_scale": 0.0,
            "imbalance": 0.5,
        },
        terms=(
            Term(
                Part(
                    "RankedListLoss",
                    {
                        "margin": Option("margin"),
                        "alpha": Option("alpha"),
                        "Tn": Option("negative_scale"),
                        "Tp": Option("positive_scale"),
                        "imbalance": Option("imbalance"),
                    },
                )
            ),
        ),
        notes="The simpler of the paper's two, which does not weight positives.",
    ),
    LibraryLoss(
        name="histogram",
        summary="Probability that a random negative pair is more similar than a random positive pair.",
        paper="Ustinova and Lempitsky, Learning Deep Embeddings with Histogram Loss, NIPS 2016",
        family="distributions",
        equation="sum_r h-_r sum_{q <= r} h+_q, h+ and h- soft histograms of cosines of positive and negative pairs",
        options={"num_bins": 64},
        terms=(Term(Part("HistogramLoss", {"n_bins": Option("num_bins"), "distance": Part("CosineSimilarity")})),),
        notes="Cosines are kept off 1, where the library's index of a bin lies outside for two copies of an image. All "
        "pairs, where the library takes those that are part of a triplet.",
    ),
    LibraryLoss(
        name="instance",
        summary="Softmax over the samples of the batch, one sample of the own class the target.",
        paper="Zheng et al., Dual-Path Convolutional Image-Text Embeddings with Instance Loss, ACM TOMM 2020",
        family="classifiers",
        equation="mean of -log(exp(gamma s_it) / sum_j exp(gamma s_ij)), t the first sample of the class of i in the "
        "batch",
        options={"gamma": 64.0},
        terms=(Term(Part("InstanceLoss", {"gamma": Option("gamma")})),),
        notes="The library takes the rank of a class in the batch for the row of its target, an unrelated sample; the "
        "batch is put in the order in which the two agree. Other samples of the class count as wrong answers, as does "
        "the sample itself.",
    ),
)
