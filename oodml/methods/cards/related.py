"""Related work of the same line: sampling policies, several heads, shared features, mixup."""

from __future__ import annotations

from oodml.methods.cards.record import MethodInfo
from oodml.methods.cards.study import MARGIN_EQUATION

RELATED: tuple[MethodInfo, ...] = (
    MethodInfo(
        name="metrix",
        target="oodml.methods.metrix:Metrix",
        summary="A loss beside itself on mixed examples, which are partly positive and partly negative.",
        paper="Venkataramanan et al., It Takes Two to Tango: Mixup for Deep Metric Learning, ICLR 2022",
        family="pairs",
        group="related",
        equation="mean over anchors of l(a) + weight l~(a); l~ takes v = normalize(lam x + (1 - lam) x') with label "
        "t = lam in sigma+(sum_v t rho+(s(a,v))) + sigma-(sum_v (1 - t) rho-(s(a,v))), lam from Beta(alpha, alpha)",
        needs=("second forward pass (level=input)",),
        options={
            "loss": "multisimilarity",
            "level": "embedding",
            "weight": 0.4,
            "alpha": 2.0,
            "hard_negatives": -1,
            "contrastive_margin": 0.5,
        },
        notes="loss: multisimilarity, contrastive, margin or proxy_anchor, each with the defaults of its own method "
        "and the rates of its boundaries or proxies; contrastive is over all pairs of the batch, each half averaged "
        "over the terms that are not 0. Every step has one lam and one kind of pairs, at even odds: every positive "
        "of an anchor with its hard_negatives nearest negatives, or the anchor itself with these (-1: 20 at level "
        "embedding, 3 at level input; 0: all). Level input runs the network once more, on batch_size hard_negatives "
        "mixed inputs, with one random positive per anchor. The mixed multi-similarity has no pair mining; the mixed "
        "margin term is that of the clean loss over all mixed examples. For proxy_anchor the anchors are proxies: "
        "samples are mixed with their nearest of other classes, and a sample of class c counts for proxy c with its "
        "share; a proxy is mixed with samples at level embedding only. The weight and the numbers of negatives are as "
        "quoted for the paper, whose public code has the contrastive loss only.",
    ),
    MethodInfo(
        name="pads",
        target="oodml.methods.pads:Pads",
        summary="Margin loss whose negatives follow a histogram of distances that a policy adapts to validation.",
        paper="Roth et al., PADS: Policy-Adapted Sampling for Visual Similarity Learning, CVPR 2020",
        family="samplers",
        group="related",
        equation=f"{MARGIN_EQUATION}; p(n|a) proportional to h[bin(d(a,n))]; every M steps h <- h * multiplier of the "
        "action per bin, learned by PPO with reward sign(metric - last metric)",
        needs=("held-out images", "own optimiser", "validation every M steps"),
        options={
            "beta": 0.6,
            "margin": 0.2,
            "beta_lr": 1e-3,
            "reward": "recall",
            "every": 30,
            "holdout": "images",
            "fraction": 0.15,
            "val_size": 1000,
            "actions": "0.8,1,1.25",
            "policy_lr": 1e-2,
            "self_regularisation": True,
            "published": False,
        },
        dataset_options={
            "cub200": {"beta": 0.6, "beta_lr": 1e-3, "reward": "recall", "fraction": 0.15},
            "cars196": {"beta": 0.6, "beta_lr": 5e-4, "reward": "both", "fraction": 0.1},
            "sop": {"beta": 1.2, "beta_lr": 1e-3, "reward": "both", "every": 60, "holdout": "classes", "fraction": 0.1},
        },
        training={"cars196": {"per_class": 4}},
        notes="29 bins of equal width in [0.1, 1.4]. A share of the training images does not train but validates: at "
        "random from each class of four or more (at least two, since one alone finds nothing), or whole classes with "
        "holdout=classes and where all classes are smaller; the original takes equidistant files on CUB and the last "
        "classes on SOP. At most val_size of them are scored, always the same and classes as a whole: the original "
        "scores all. reward: recall (at 1), nmi or both (their mean). Negatives are drawn within [0.1, 1.4] where an "
        "anchor has such a candidate, as the original's mask intends; the policy's value learns the sign that the "
        "advantage counts. published=true merges the distances outside into the outer bins (the mask never acts), fits "
        "the value to the metric itself, and divides the loss as in margin. Actions are drawn from the newest policy; "
        "the old one of the ratio is renewed every 5 updates. The original trains 300 epochs (SOP 120) at width 128 "
        "with one drop of the learning rate; here the sweep's schedule counts. The first validation comes before the "
        "first step. Once classes are well apart the likely bins hold mostly samples of the anchor's own class, which "
        "self-regularisation then pushes away: in short trainings self_regularisation=false is far better.",
    ),
    MethodInfo(
        name="divide_conquer",
        target="oodml.methods.divide_conquer:DivideConquer",
        summary="Slices of one embedding, each trained on its own cluster of the images, then all together.",
        paper="Sanakoyeu et al., Divide and Conquer the Embedding Space for Metric Learning, CVPR 2019",
        family="ensembles",
        group="related",
        equation="([d(a,p) - beta + m]+ over all positive pairs, [beta - d(a,n) + m]+ over the closest n with "
        "d >= cutoff, as many per anchor as positives) over the active terms; d of slice k in batches of cluster k",
        needs=("k-means", "pass over the training images every 2 epochs"),
        options={
            "learners": 4,
            "every_epochs": 2,
            "joint_from": 0.95,
            "beta": 1.2,
            "margin": 0.2,
            "cutoff": 0.5,
            "dropout": 0.01,
            "learn_beta": False,
            "beta_lr": 5e-4,
            "published": False,
        },
        dataset_options={"cub200": {"learners": 4}, "cars196": {"learners": 4}, "sop": {"learners": 8}},
        notes="Each slice has unit length; the test embedding is their concatenation divided by sqrt(K), which ranks "
        "as the original's of length sqrt(K). Clusters of the images' unit pooled features, matched to the previous "
        "ones by the Hungarian method; published=true applies the inverse permutation as the original does and starts "
        "the loss on the whole embedding at 8/19 of the joint phase's start, while batches still are of one cluster. "
        "The joint phase starts at joint_from of the steps (epoch 190 of 200). A cluster with fewer than two usable "
        "classes is replaced by all images for its learner. Where too few negatives are beyond the cutoff, the "
        "farthest of the closer ones stand in: the original leaves them out, and an untrained network may have no "
        "other. Clusters take equal turns. Batch size, samples per class, width and weight decay are those of the "
        "sweep (original: 80, 4, 128, 1e-4); d // K per learner, so 128 at K = 4 and width 512. The four learners of "
        "CUB and CARS are quoted from the paper.",
    ),
    MethodInfo(
        name="sharing",
        target="oodml.methods.sharing:Sharing",
        summary="A head for what classes share, from triplets of three classes, beside a discriminative one.",
        paper="Milbich et al., Sharing Matters for Generalization in Deep Metric Learning, T-PAMI 2020",
        family="ensembles",
        group="related",
        equation="margin(disc) + alpha margin(shared) - rho mean (n(z_disc) * n(R(z_shared)))^2, gradients of z "
        "reversed; shared: a, p and n from three classes, n drawn by the inverse density of distances",
        options={
            **{"alpha": 0.2, "rho": 150.0, "beta": 1.2, "margin": 0.2, "beta_lr": 5e-4, "weights": "1,1"},
            **{"mining": "standard", "published": False},
        },
        dataset_options={
            "cub200": {"alpha": 0.3, "rho": 1500.0},
            "cars196": {"alpha": 0.15, "rho": 100.0},
            "sop": {"alpha": 0.2, "rho": 150.0},
        },
        notes="Heads of embedding_dim // 2, side by side at test time; weights are those of discriminative and shared. "
        "mining: standard (uniform positive), full (positive by the inverse density too), random (labels shuffled in "
        "the batch); the boundary is that of the anchor's class. Batches of fewer than three classes give no shared "
        "triplets. alpha and rho are those of diva, which this is with two of its heads, and rho is scaled as there. "
        "published=true divides the margin losses by the triplets with an active term, as in margin.",
    ),
    MethodInfo(
        name="mic",
        target="oodml.methods.mic:Mic",
        summary="An auxiliary head learns what varies within classes and keeps the class head free of it.",
        paper="Roth et al., MIC: Mining Interclass Characteristics for Improved Metric Learning, ICCV 2019",
        family="ensembles",
        group="related",
        equation="margin(E, classes) + gamma L, and in steps of their own margin(E', clusters) + gamma L; "
        "L = -mean (n(E) * n(R(E')))^2, gradients of E and E' reversed",
        needs=("second forward pass", "k-means"),
        options={
            **{"clusters": 30, "gamma": 500.0, "share": 0.8, "relabel_epochs": 3, "noise": 0.2},
            **{"beta": 1.2, "margin": 0.2, "beta_lr": 5e-4, "published": False},
        },
        dataset_options={
            "cub200": {"clusters": 30, "gamma": 2500.0, "share": 0.8},
            "cars196": {"clusters": 150, "gamma": 500.0, "share": 0.8},
            "sop": {"clusters": 50, "gamma": 250.0, "share": 0.5},
        },
        training={"*": {"per_class": 4}},
        notes="Only E is used at test time. share: probability of an auxiliary step after a class step; noise: that of "
        "a sample from a random other cluster. The first clusters come from unit pooled features minus the mean of "
        "their class, where the original pools the maps of the first residual stage (a backbone gives its last "
        "features only); later ones from E', every relabel_epochs epochs. There are three clusters per class at most. "
        "Auxiliary batches are augmented like the others, with mirror images. gamma is multiplied by "
        "(embedding_dim / 128)^2, as rho in diva. published=true relabels an epoch later each time (the counter is "
        "compared before it is raised), lets k-means run 25 instead of 20 iterations, and divides the margin losses by "
        "the triplets with an active term.",
    ),
)
