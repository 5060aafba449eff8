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
        "the anchors with a non-empty set only, and log(2) / weight without any; the paper divides by all anchors. It "
        "also counts a sample as its own positive where a negative is more similar than 1 - epsilon.",
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
        notes="published=true clamps cosines from below at 1e-10 as the original does: negative ones then give no "
        "gradient, and angles beyond pi - margin are not corrected. Both clamp at 1 - 1e-7 from above, where the "
        "original, at 1, may divide by zero.",
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
    MethodInfo(
        name="r_margin",
        target="oodml.methods.r_margin:RMargin",
        summary="Margin loss that pushes some samples of a class apart, against a fast decaying spectrum.",
        paper="Roth et al., Revisiting Training Strategies and Generalization Performance in DML, ICML 2020",
        family="triplets",
        group="study",
        equation=f"{MARGIN_EQUATION}; with probability p the triplet of anchor i is (i, i, j), j of the class of i, "
        "else (i, j, n) as in margin",
        options={"beta": 0.6, "margin": 0.2, "beta_lr": 5e-4, "p": 0.2, "published": False},
        dataset_options={
            "cub200": {"beta": 0.6, "p": 0.4},
            "cars196": {"beta": 0.6, "p": 0.35},
            "sop": {"beta": 0.9, "p": 0.15},
        },
        notes="An anchor alone in its class is skipped. published=true divides by the triplets with an active term, as "
        "in margin. The study names its run on SOP after beta 0.6, but sets 0.9.",
    ),
    MethodInfo(
        name="uniform_prior",
        target="oodml.methods.uniform_prior:UniformPrior",
        summary="Margin loss plus an adversary that keeps the features near a uniform distribution.",
        paper="Sinha et al., Uniform Priors for Data-Efficient Transfer, arXiv 2020",
        family="regularisers",
        group="study",
        equation="margin + weight BCE(D(rows), 1), rows: chunks of the features; every `every` steps the discriminator "
        "D first takes a step on BCE(D(U(-1, 1)), 1) + BCE(D(rows), 0)",
        needs=("own optimiser",),
        options={
            **{"beta": 1.2, "margin": 0.2, "beta_lr": 5e-4, "published": False},
            **{"weight": 0.1, "hidden": 100, "every": 10, "chunk": 128, "lr": 1e-5, "input": "pooled"},
        },
        dataset_options={
            "cub200": {"weight": 0.2},
            "cars196": {"weight": 0.2},
            "sop": {"weight": 0.02, "hidden": 50, "every": 200},
        },
        notes="input=pooled takes the pooled features as they are (neither normalised nor negative after a ReLU), as "
        "in the study; input=embedding the unit embeddings. Where the chunk does not divide their width, the largest "
        "divisor below it is taken. lr is the discriminator's. published=true divides the margin loss by the triplets "
        "with an active term, as in margin.",
    ),
    MethodInfo(
        name="diva",
        target="oodml.methods.diva:Diva",
        summary="Four decorrelated heads: discriminative, shared, self-supervised and intra-class features.",
        paper="Milbich et al., DiVA: Diverse Visual Feature Aggregation for Deep Metric Learning, ECCV 2020",
        family="ensembles",
        group="study",
        equation="margin(disc) + alpha (margin(shared) + cross-entropy of q k / t against W q Q / t + margin(intra)) - "
        "rho sum over the other heads s of mean (n(z_disc) * n(R_s(z_s)))^2, gradients of z reversed",
        needs=("two views", "second forward pass", "momentum copy of the network"),
        options={
            **{"alpha": 0.2, "rho": 150.0, "beta": 1.2, "margin": 0.2, "beta_lr": 5e-4, "weights": "1,1,1,1"},
            **{"momentum": 0.9, "temperature": 0.01, "key_batches": 30, "published": False},
        },
        dataset_options={
            "cub200": {"alpha": 0.3, "rho": 1500.0, "weights": "0.75,1.25,1.25,1.25"},
            "cars196": {"alpha": 0.15, "rho": 100.0, "weights": "0.5,1.5,1.5,1.5"},
            "sop": {"alpha": 0.2, "rho": 150.0, "key_batches": 70, "weights": "1,1,1,1"},
        },
        training={"*": {"batch_size": 108}},
        notes="Heads of embedding_dim // 4; weights are those of the heads discriminative, shared, selfsimilarity and "
        "intra in the test embedding. Shared triplets come from labels shuffled in the batch, intra triplets from one "
        "class each. published=true does as the study's code: intra triplets as the shared ones, W with one maximum "
        "for all and normalised over queries instead of keys (most entries become 1 / batch_size), and the margin "
        "losses divided by the triplets with an active term. Only the momentum network sees the second view: it costs "
        "a forward pass without gradient, and key_batches more before the first step. Keys are not shuffled before "
        "the batch norms, which is without effect where these are frozen, as in the study. rho is for the "
        "published width of 128 and multiplied by (width / 128)^2, as the term itself falls with the square of the "
        "width: unscaled, it ruins the narrow heads of the quick preset.",
    ),
    MethodInfo(
        name="s2sd",
        target="oodml.methods.s2sd:S2SD",
        summary="Distils the similarities of wider heads and of the features into the embedding, all trained at once.",
        paper="Roth et al., S2SD: Simultaneous Similarity-based Self-Distillation for Deep Metric Learning, ICML 2021",
        family="ensembles",
        group="study",
        equation="(criterion(z) + mean_k criterion_k(z_k)) / 2 + weight mean_k KL(S || S_k) + feature_weight "
        "KL(S || S_f); KL between row softmaxes of similarities / temperature, S_k and S_f without gradient",
        needs=("feature map",),
        options={
            **{"criterion": "margin", "beta": 0.6, "beta_lr": 5e-4, "p": 0.2, "published": False},
            **{"dims": "2x,3x,4x", "weight": 5.0, "feature_weight": 5.0, "temperature": 1.0},
            **{"pool": "sum", "delay": 0},
        },
        dataset_options={
            "cub200": {"criterion": "r_margin", "p": 0.4, "weight": 50.0, "feature_weight": 50.0},
            "cars196": {"criterion": "r_margin", "p": 0.3, "weight": 50.0, "feature_weight": 50.0},
            "sop": {"beta": 0.9, "pool": "avg", "delay": 1000},
        },
        training={"sop": {"batch_size": 104}},
        notes="criterion: r_margin, margin or multisimilarity, one of its own with its own mining for the embedding "
        "and for every wider head; beta, beta_lr and p are for the first two, the rest as in the criterion's method. "
        "dims: widths of the heads, or multiples of the embedding's; the defaults are the study's 1024,1536,2048 at "
        "512. pool: sum takes average plus maximum of the feature map, avg the average; without a map, the pooled "
        "features. delay: steps without feature distillation. Weights and miner outside the study's datasets are those "
        "of SOP: at 50, made for trained features and small steps, features that start from noise hold the embedding. "
        "The study takes a ResNet-101 on SOP. published=true trains boundaries at the learning rate of the network "
        "(S2SD's code drops their own), and takes the criterion's published version.",
    ),
)
