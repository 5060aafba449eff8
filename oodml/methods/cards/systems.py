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
    MethodInfo(
        name="facenet",
        target="oodml.methods.facenet:FaceNet",
        summary="Squared triplet loss over all positive pairs of the batch with online semi-hard negatives.",
        paper="Schroff et al., FaceNet: A Unified Embedding for Face Recognition and Clustering, CVPR 2015",
        family="triplets",
        equation="mean over ordered pairs (a, p) of a class of [d(a,p)^2 - d(a,n)^2 + margin]+; n the nearest sample "
        "of another class with d(a,n) > d(a,p), else the farthest one",
        options={"margin": 0.2},
        notes="Unlike `triplet`, which draws one positive and one negative per anchor, every pair has its negative. "
        "The paper leaves open what a pair without a semi-hard negative does; the farthest negative is what the common "
        "online implementation takes. The mean counts pairs without loss.",
    ),
    MethodInfo(
        name="simplex",
        target="oodml.methods.simplex:Simplex",
        summary="Softmax over the fixed vertices of a regular simplex, an embedding as wide as it.",
        paper="Pernici et al., Regular Polytope Networks, TNNLS 2021; with a margin: Maximally Compact and Separated "
        "Features with Regular Polytope Networks, CVPR Workshops 2019",
        family="classifiers",
        equation="cross-entropy of scale cos(theta_y + margin) against scale cos(theta_c), theta the angle to a vertex "
        "of the simplex of all classes; cos between vertices = -1 / (C - 1)",
        options={"scale": 16.0, "margin": 0.0},
        notes="The embedding has C - 1 dimensions, C the number of training classes, whatever train.embedding_dim "
        "says: the leaderboard's column tells. With thousands of classes head and vertices are large. Scale as in "
        "`arcface`; the first paper trains on features of free length, here on cosines as in the second.",
    ),
    MethodInfo(
        name="proto_triplet",
        target="oodml.methods.proto_triplet:ProtoTriplet",
        summary="Triplets of a query, the prototype of its class and the nearest other prototype.",
        paper="Mendez-Ruiz et al., SuSana Distancia is all you need: Enforcing class separability in metric learning "
        "via two novel distance-based loss functions for few-shot image classification, arXiv 2305.09062, 2023",
        family="triplets",
        equation="mean over queries of [d(q, c_y) - min over k != y of d(q, c_k) + margin]+; c_k the mean of the "
        "support of class k, d Euclidean",
        options={"margin": 0.5},
        notes="Loss and margin as in the authors' code. Decided here: the batch is the episode, the first n - n // 2 "
        "of a class's n samples its support and the others queries (the authors: 1 or 5 against 15); embeddings have "
        "unit length (theirs are free), prototypes are not normalised; the loss stands alone (they report it also "
        "averaged with a cross-entropy over prototypes). A class with one sample only repels.",
    ),
    MethodInfo(
        name="icnn",
        target="oodml.methods.icnn:Icnn",
        summary="Minus the logarithm of the inter- and intra-class nearest neighbours score of the batch.",
        paper="Mendez-Ruiz et al., SuSana Distancia is all you need: Enforcing class separability in metric learning "
        "via two novel distance-based loss functions for few-shot image classification, arXiv 2305.09062, 2023",
        family="rankings",
        equation="-log((lambda + gamma) / 2), lambda = (1 - mean d_same / d_nearest_other + mean d_other / max "
        "d_other) / 2, gamma = share of the own class, all among the k nearest neighbours",
        options={"neighbours": 4},
        notes="The score as in the authors' code: without the variance term omega of the original ICNN score (it is "
        "switched off there), over support and queries together, and alone (they also average it with other losses); "
        "d_same is divided by its row's largest where that exceeds 1. Decided here: unit embeddings, the sample itself "
        "is left out by its index rather than as the nearest, the nearest other class is sought in the whole batch, "
        "and two exceptions of the code for tiny episodes are left out.",
    ),
    MethodInfo(
        name="subspaces",
        target="oodml.methods.subspaces:Subspaces",
        summary="Learners on disjoint dimensions, added where the training loss stands still, with spatial attention.",
        paper="Adiga V, Dolz and Lombaert, Attention-based Dynamic Subspace Learners for Medical Image Analysis, "
        "JBHI 2022",
        family="ensembles",
        equation="margin loss of one learner's unit slice on batches from its cluster, learners in turn; later of the "
        "whole embedding; a learner closes with the dimensions whose |mean of activation x gradient| is large",
        needs=("feature map", "k-means"),
        options={
            "beta": 1.2,
            "margin": 0.2,
            "beta_lr": 5e-4,
            "published": False,
            "max_learners": 8,
            "patience": 0.033,
            "threshold": 0.5,
            "min_width": 5,
            "recluster_epochs": 2,
            "joint_from": 0.833,
        },
        notes="patience and joint_from are shares of the run (10 and 250 of 300 epochs in the authors' code), "
        "threshold, min_width and recluster_epochs as there. It watches the NMI of its evaluation data, which here "
        "would be test classes; this one watches the mean training loss of an epoch (1% lower counts as better). "
        "Margins are learned per class and negatives distance-weighted as in `margin` (theirs: a constant 1.2, the "
        "nearest beyond 0.5), the slices share them, slices are scaled to a unit concatenation, and the dropout of "
        "0.01 is left out. Without a feature map (vectors, transformers) there is no attention. published as in "
        "`margin`.",
    ),
    MethodInfo(
        name="linear",
        target="oodml.methods.linear:Linear",
        summary="A linear head on the features of the network as it is, trained with the margin loss.",
        paper="-",
        family="baseline",
        equation="margin loss with distance-weighted negatives; the backbone does not train",
        options={"beta": 1.2, "margin": 0.2, "beta_lr": 5e-4, "published": False},
        notes="What the head alone brings over `frozen`. The features are standardised by a batch norm without "
        "weights, as is usual for linear probes, so that the head does not have to learn their mean first. published "
        "as in `margin`.",
        trains_backbone=False,
    ),
    MethodInfo(
        name="softmax",
        target="oodml.methods.softmax:Softmax",
        summary="Plain classification: cross-entropy of a linear layer with bias on the embedding.",
        paper="-",
        family="classifiers",
        equation="cross-entropy of W x + b, x the embedding before it is brought to unit length",
        notes="Classifier at the run's learning rate and weight decay.",
    ),
    MethodInfo(
        name="norm_softmax",
        target="oodml.methods.norm_softmax:NormSoftmax",
        summary="Softmax over cosines with class vectors at a low temperature.",
        paper="Zhai and Wu, Classification is a Strong Baseline for Deep Metric Learning, BMVC 2019",
        family="classifiers",
        equation="cross-entropy of cos(z, w_c) / temperature",
        options={"temperature": 0.05, "class_lr": 0.0},
        notes="The loss of pytorch-metric-learning, class vectors initialised as in Milbich et al. class_lr=0 takes "
        "the run's learning rate, as they do (1e-5 in the paper preset); class vectors have no weight decay.",
    ),
)
