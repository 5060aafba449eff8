"""Losses of pytorch-metric-learning that compare samples of a batch as pairs, triplets or tuples."""

from __future__ import annotations

from oodml.methods.cards.library_record import DISTANCE_WEIGHTED, Keyword, LibraryLoss, Option, Part, Term

YU_TAO = "Yu and Tao, Deep Metric Learning with Tuplet Margin Loss, ICCV 2019"
YUAN = "Yuan et al., Signal-to-Noise Ratio: A Robust Distance Metric for Deep Metric Learning, CVPR 2019"
RAW = (
    "Takes embeddings as the head gives them and pulls a little on their length, as the study; compared at unit length."
)
SHORT: dict[str, Keyword] = {
    "embedding_regularizer": Part("LpRegularizer"),
    "embedding_reg_weight": Option("norm_weight"),
}
N_PAIR = Part("NPairsLoss", {"distance": Part("DotProductSimilarity", {"normalize_embeddings": False}), **SHORT})
TUPLET = Part(
    "TupletMarginLoss",
    {"margin": Option("margin_degrees"), "scale": Option("scale")},
)

LIBRARY_SAMPLES = (
    LibraryLoss(
        name="circle",
        summary="Pairs weighted by how far each is from its own optimum, in one softplus per anchor.",
        paper="Sun et al., Circle Loss: A Unified Perspective of Pair Similarity Optimization, CVPR 2020",
        family="pairs",
        equation="log(1 + sum_N exp(gamma [s + m]+ (s - m)) sum_P exp(-gamma [1 + m - s]+ (s - 1 + m))), averaged over "
        "the anchors where it is not 0; the weights in [.]+ give no gradient",
        options={"margin": 0.4, "gamma": 80.0},
        terms=(Term(Part("CircleLoss", {"m": Option("margin"), "gamma": Option("gamma")})),),
    ),
    LibraryLoss(
        name="supcon",
        summary="Supervised contrastive loss: each positive against everything else in the batch.",
        paper="Khosla et al., Supervised Contrastive Learning, NeurIPS 2020",
        family="pairs",
        equation="mean over anchors of mean_P -log(exp(s_ip / t) / sum_{j != i} exp(s_ij / t)), t the temperature",
        options={"temperature": 0.1},
        terms=(Term(Part("SupConLoss", {"temperature": Option("temperature")})),),
    ),
    LibraryLoss(
        name="ntxent",
        summary="Each positive pair against all negatives of its anchor, scaled by a temperature.",
        paper="Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, ICML 2020",
        family="pairs",
        equation="mean over positive pairs of -log(exp(s_ap / t) / (exp(s_ap / t) + sum_N exp(s_an / t)))",
        options={"temperature": 0.07},
        terms=(Term(Part("NTXentLoss", {"temperature": Option("temperature")})),),
        notes="Positives are samples of the same class instead of a second view.",
    ),
    LibraryLoss(
        name="nca",
        summary="Probability that a softly drawn neighbour is of the same class.",
        paper="Goldberger et al., Neighbourhood Components Analysis, NIPS 2004",
        family="pairs",
        equation="mean of -log sum_P exp(-scale d^2(i, p)) / sum_{j != i} exp(-scale d^2(i, j))",
        options={"scale": 9.0},
        terms=(Term(Part("NCALoss", {"softmax_scale": Option("scale")})),),
        zero_without=("positive",),
        notes="Scale 9, that of proxy_nca: at the library's 1 unit vectors, whose d^2 is 4 at most, hardly tell "
        "neighbours apart. A batch without positive pairs has loss 0, where the library averages over nothing.",
    ),
    LibraryLoss(
        name="snr_contrastive",
        summary="Contrastive loss on the signal-to-noise ratio instead of a distance.",
        paper=YUAN,
        family="pairs",
        equation="[r(a,p) - pos_margin]+ + [neg_margin - r(a,n)]+, each averaged over non-zero terms; "
        "r(a,b) = var(a - b) / var(a)",
        options={"pos_margin": 0.0, "neg_margin": 1.0},
        terms=(
            Term(
                Part(
                    "SignalToNoiseRatioContrastiveLoss",
                    {
                        "pos_margin": Option("pos_margin"),
                        "neg_margin": Option("neg_margin"),
                        "distance": Part("SNRDistance"),
                    },
                ),
                miner=DISTANCE_WEIGHTED,
            ),
        ),
    ),
    LibraryLoss(
        name="intra_pair_variance",
        summary="Tuplet margin loss, and similarities of positive and of negative pairs held together.",
        paper=YU_TAO,
        family="pairs",
        equation="tuplet margin loss + variance_weight (mean_P [(1 - eps) mean s - s]+^2 + mean_N [s - (1 + eps) mean "
        "s]+^2)",
        options={"margin_degrees": 5.73, "scale": 64.0, "variance_weight": 0.5, "pos_eps": 0.01, "neg_eps": 0.01},
        terms=(
            Term(TUPLET),
            Term(
                Part("IntraPairVarianceLoss", {"pos_eps": Option("pos_eps"), "neg_eps": Option("neg_eps")}),
                weight=Option("variance_weight"),
            ),
        ),
        notes="Alone the variance would be smallest with all embeddings in one point; the paper adds it to its loss.",
    ),
    LibraryLoss(
        name="threshold_consistent_margin",
        summary="Multi-similarity loss, and positives and negatives kept off a threshold common to all classes.",
        paper="Zhang et al., Threshold-Consistent Margin Loss for Open-World Deep Metric Learning, ICLR 2024",
        family="pairs",
        equation="multi-similarity loss + pos_weight x mean of margin_pos - s over positive pairs below margin_pos + "
        "neg_weight x mean of s - margin_neg over negative pairs above margin_neg",
        options={
            "margin_pos": 0.9,
            "margin_neg": 0.5,
            "pos_weight": 1.0,
            "neg_weight": 1.0,
            "alpha": 2.0,
            "beta": 40.0,
            "base": 0.5,
            "epsilon": 0.1,
        },
        terms=(
            Term(
                Part("MultiSimilarityLoss", {"alpha": Option("alpha"), "beta": Option("beta"), "base": Option("base")}),
                miner=Part("MultiSimilarityMiner", {"epsilon": Option("epsilon")}),
            ),
            Term(
                Part(
                    "ThresholdConsistentMarginLoss",
                    {
                        "margin_plus": Option("margin_pos"),
                        "margin_minus": Option("margin_neg"),
                        "lambda_plus": Option("pos_weight"),
                        "lambda_minus": Option("neg_weight"),
                    },
                )
            ),
        ),
        notes="A regulariser, which the paper adds to a base loss; here to multi-similarity as the study sets it.",
    ),
    LibraryLoss(
        name="snr",
        summary="Triplet loss on the signal-to-noise ratio instead of a distance.",
        paper=YUAN,
        family="triplets",
        equation="[r(a,p) - r(a,n) + margin]+ averaged over non-zero terms; r(a,b) = var(a - b) / var(a)",
        options={"margin": 0.2},
        terms=(
            Term(
                Part("TripletMarginLoss", {"margin": Option("margin"), "distance": Part("SNRDistance")}),
                miner=DISTANCE_WEIGHTED,
            ),
        ),
    ),
    LibraryLoss(
        name="dynamic_soft_margin",
        summary="Triplets weighted by the share of recent triplets that are easier, in place of a margin.",
        paper="Zhang and Rusinkiewicz, Learning Local Descriptors with a CDF-Based Dynamic Soft Margin, ICCV 2019",
        family="triplets",
        equation="mean over positive pairs of CDF(v) v, v = d(a,p) - d(a,n) with the hardest negative n; CDF from a "
        "running histogram of v, constant in the gradient",
        options={"num_bins": 10, "momentum": 0.01},
        terms=(
            Term(
                Part("DynamicSoftMarginLoss", {"num_bins": Option("num_bins"), "momentum": Option("momentum")}),
                miner=Part("BatchEasyHardMiner", {"pos_strategy": "all", "neg_strategy": "hard"}),
            ),
        ),
        notes="The library's histogram fails at the second step, carries a gradient and has no place for the largest "
        "differences; it is a buffer without gradient here, with two bins more.",
    ),
    LibraryLoss(
        name="n_pair",
        summary="One positive pair per class; each anchor tells its positive from those of the other classes.",
        paper="Sohn, Improved Deep Metric Learning with Multi-class N-pair Loss Objective, NIPS 2016",
        family="triplets",
        equation="mean over classes of log(1 + sum_{j != i} exp(a_i.p_j - a_i.p_i)) + norm_weight x mean |x|",
        options={"norm_weight": 0.005},
        terms=(Term(N_PAIR, raw=True),),
        notes=RAW,
    ),
    LibraryLoss(
        name="angular",
        summary="Bounds the angle at the negative of a triangle of three samples; added to the N-pair loss.",
        paper="Wang et al., Deep Metric Learning with Angular Loss, ICCV 2017",
        family="triplets",
        equation="N-pair loss + norm_weight x mean |x| + angular_weight x mean over positive pairs of log(1 + sum_N "
        "exp(4 tan^2(angle) (a + p).n - 2 (1 + tan^2(angle)) a.p)), a, p, n of unit length",
        options={"angle_degrees": 45.0, "angular_weight": 2.0, "norm_weight": 0.005},
        terms=(
            Term(N_PAIR, raw=True),
            Term(Part("AngularLoss", {"alpha": Option("angle_degrees")}), weight=Option("angular_weight")),
        ),
        notes=f"{RAW} All positive pairs, where the study draws one per anchor.",
    ),
    LibraryLoss(
        name="lifted",
        summary="Generalised lifted structure: all positives and negatives of an anchor in two soft maxima.",
        paper="Hermans et al., In Defense of the Triplet Loss for Person Re-Identification, arXiv 2017",
        family="triplets",
        equation="mean over anchors of [log sum_P exp(d - pos_margin) + log sum_N exp(neg_margin - d)]+ + norm_weight "
        "x mean |x|",
        options={"pos_margin": 0.0, "neg_margin": 1.0, "norm_weight": 0.005},
        terms=(
            Term(
                Part(
                    "GeneralizedLiftedStructureLoss",
                    {
                        "pos_margin": Option("pos_margin"),
                        "neg_margin": Option("neg_margin"),
                        "distance": Part("LpDistance", {"normalize_embeddings": False}),
                        **SHORT,
                    },
                ),
                raw=True,
            ),
        ),
        notes=RAW,
    ),
    LibraryLoss(
        name="lifted_structure",
        summary="Lifted structure: each positive pair against the negatives of both its samples.",
        paper="Oh Song et al., Deep Metric Learning via Lifted Structured Feature Embedding, CVPR 2016",
        family="triplets",
        equation="mean over positive pairs of [log sum over negatives of a and of p of exp(neg_margin - d) + d(a,p) - "
        "pos_margin]+^2 / 2",
        options={"pos_margin": 0.0, "neg_margin": 1.0},
        terms=(
            Term(
                Part(
                    "LiftedStructureLoss",
                    {"pos_margin": Option("pos_margin"), "neg_margin": Option("neg_margin")},
                )
            ),
        ),
    ),
    LibraryLoss(
        name="tuplet_margin",
        summary="Each positive pair against all negatives of its anchor, with a slack on its angle.",
        paper=YU_TAO,
        family="triplets",
        equation="mean over positive pairs of log(1 + sum_N exp(scale (cos(theta_an) - cos(theta_ap - margin))))",
        options={"margin_degrees": 5.73, "scale": 64.0},
        terms=(Term(TUPLET),),
        notes="Cosines are kept off 1, where the library's arccos is NaN for two copies of an image.",
    ),
)
