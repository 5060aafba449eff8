"""Losses of pytorch-metric-learning that compare samples with class vectors or proxies."""

from __future__ import annotations

from oodml.methods.cards.library_record import LibraryLoss, Option, Part, Term
from oodml.records import Scalar

SIZES = {"num_classes": Option("num_classes"), "embedding_size": Option("embedding_dim")}
INSIDE = Part("CosineSimilarity")
CLASS_LR: dict[str, Scalar] = {"class_lr": 5e-4}  # of the study, for class vectors of the lengths started at here
STARTS = "Class vectors start at U(-1/sqrt(d), 1/sqrt(d)); the library's start would turn them many times slower."
UNBLENDED = (
    "At unit length with the scale of arcface in the study: without the paper's slow blending from the plain softmax, "
    "which the library does not have, free embeddings shrink to nothing instead of turning to their class."
)

LIBRARY_CLASSES = (
    LibraryLoss(
        name="proxy_nca",
        summary="Neighbourhood components with one proxy per class in place of the samples.",
        paper="Movshovitz-Attias et al., No Fuss Distance Metric Learning Using Proxies, ICCV 2017",
        family="proxies",
        equation="mean of -log(exp(-scale d^2(z, p_y)) / sum_c exp(-scale d^2(z, p_c)))",
        options={"scale": 9.0, **CLASS_LR},
        terms=(Term(Part("ProxyNCALoss", {**SIZES, "softmax_scale": Option("scale")}), initial="normal/8"),),
        notes="Scale 9 is the study's radius 3, squared. The denominator holds the own proxy too; the study's and the "
        "paper's leave it out.",
    ),
    LibraryLoss(
        name="soft_triple",
        summary="Softmax over soft-assigned centres, several per class, without triplets.",
        paper="Qian et al., SoftTriple Loss: Deep Metric Learning Without Triplet Sampling, ICCV 2019",
        family="proxies",
        equation="cross-entropy of scale (S_c - margin [c = y]); S_c = sum_k softmax_k(z.w_ck / gamma) z.w_ck; "
        "plus center_weight x half the mean distance of the centres of a class",
        options={"centers": 2, "scale": 8.0, "gamma": 0.1, "margin": 0.01, "center_weight": 0.2, **CLASS_LR},
        terms=(
            Term(
                Part(
                    "SoftTripleLoss",
                    {
                        **SIZES,
                        "centers_per_class": Option("centers"),
                        "la": Option("scale"),
                        "gamma": Option("gamma"),
                        "margin": Option("margin"),
                        "weight_regularizer": Part(
                            "SparseCentersRegularizer",
                            {"num_classes": Option("num_classes"), "centers_per_class": Option("centers")},
                        ),
                        "weight_reg_weight": Option("center_weight"),
                    },
                ),
                initial="uniform",
            ),
        ),
        notes=f"{STARTS} The study's code takes the softmax over classes instead of centres, normalises along the "
        "wrong axis and multiplies by gamma; here as in the paper, with the study's options.",
    ),
    LibraryLoss(
        name="manifold",
        summary="Random walks on the graph of samples and proxies; a sample should end at its own proxy.",
        paper="Aziere and Todorovic, Ensemble Deep Manifold Similarity Learning Using Hard Proxies, CVPR 2019",
        family="proxies",
        equation="F = (1 - alpha) (I - alpha S)^-1, S the normalised exp(2 [cos]+) of samples and proxies; log(1 + sum "
        "of exp(F_ip - F_iy + margin) over the proxies p above it) + context_weight x the same of cos(F_i, F_p)",
        options={"proxies": 128, "context_weight": 1.0, "alpha": 0.8, "margin": 0.01, **CLASS_LR},
        terms=(
            Term(
                Part(
                    "ManifoldLoss",
                    {
                        "num_classes": Option("num_classes"),
                        "proxies": Option("proxies"),
                        "embedding_dim": Option("embedding_dim"),
                        "context_weight": Option("context_weight"),
                        "alpha": Option("alpha"),
                        "margin": Option("margin"),
                    },
                ),
                initial="uniform",
            ),
        ),
        notes=f"{STARTS} At most `proxies` proxies: more classes than that share them in random groups, as in the "
        "paper. One member of the paper's ensemble. Margin 0.01, the order of F's entries: at 5e-4 the "
        "loss hardly does more than count the proxies above the own.",
    ),
    LibraryLoss(
        name="cosface",
        summary="Softmax over class vectors with a margin on the cosine.",
        paper="Wang et al., CosFace: Large Margin Cosine Loss for Deep Face Recognition, CVPR 2018",
        family="classifiers",
        equation="cross-entropy of scale (cos(theta_c) - margin [c = y])",
        options={"margin": 0.35, "scale": 64.0, **CLASS_LR},
        terms=(
            Term(
                Part("CosFaceLoss", {**SIZES, "margin": Option("margin"), "scale": Option("scale")}), initial="uniform"
            ),
        ),
        notes=STARTS,
    ),
    LibraryLoss(
        name="sub_center_arcface",
        summary="ArcFace with several vectors per class, of which the nearest counts.",
        paper="Deng et al., Sub-center ArcFace: Boosting Face Recognition by Large-Scale Noisy Web Faces, ECCV 2020",
        family="classifiers",
        equation="cross-entropy of scale cos(theta_y + margin) against scale cos(theta_c), theta_c the angle to the "
        "nearest vector of class c",
        options={"margin_degrees": 28.6, "scale": 64.0, "centers": 3, **CLASS_LR},
        terms=(
            Term(
                Part(
                    "SubCenterArcFaceLoss",
                    {
                        **SIZES,
                        "margin": Option("margin_degrees"),
                        "scale": Option("scale"),
                        "sub_centers": Option("centers"),
                        "distance": INSIDE,
                    },
                ),
                initial="uniform",
            ),
        ),
        notes=STARTS,
    ),
    LibraryLoss(
        name="large_margin_softmax",
        summary="Softmax with the angle to the own class multiplied.",
        paper="Liu et al., Large-Margin Softmax Loss for Convolutional Neural Networks, ICML 2016",
        family="classifiers",
        equation="cross-entropy of scale |w_c| cos(theta_c), for the own class scale |w_y| ((-1)^k cos(margin "
        "theta_y) - 2k) with k = floor(margin theta_y / pi)",
        options={"margin": 4, "scale": 16.0, **CLASS_LR},
        terms=(
            Term(
                Part("LargeMarginSoftmaxLoss", {**SIZES, "margin": Option("margin"), "scale": Option("scale")}),
                initial="uniform",
            ),
        ),
        notes=f"{STARTS} {UNBLENDED}",
    ),
    LibraryLoss(
        name="sphereface",
        summary="Large-margin softmax with class vectors of unit length.",
        paper="Liu et al., SphereFace: Deep Hypersphere Embedding for Face Recognition, CVPR 2017",
        family="classifiers",
        equation="cross-entropy of scale cos(theta_c), for the own class scale ((-1)^k cos(margin theta_y) - "
        "2k) with k = floor(margin theta_y / pi)",
        options={"margin": 4, "scale": 16.0, **CLASS_LR},
        terms=(
            Term(
                Part("SphereFaceLoss", {**SIZES, "margin": Option("margin"), "scale": Option("scale")}),
                initial="uniform",
            ),
        ),
        notes=f"{STARTS} {UNBLENDED}",
    ),
    LibraryLoss(
        name="p2s_grad",
        summary="Squared difference of the cosines to the class vectors from 1 for the own and 0 for the others.",
        paper="Zhang et al., P2SGrad: Refined Gradients for Optimizing Deep Face Models, CVPR 2019",
        family="classifiers",
        equation="mean over samples and classes of (cos(theta_c) - [c = y])^2",
        options=CLASS_LR,
        terms=(
            Term(
                Part("P2SGradLoss", {"descriptors_dim": Option("embedding_dim"), "num_classes": Option("num_classes")})
            ),
        ),
        notes="The loss whose gradient the paper's equation 11 is. The library brings the class vectors back to unit "
        "length before every step, so they start there.",
    ),
)
