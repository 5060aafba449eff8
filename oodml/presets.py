"""Training options and the two presets; free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from oodml.errors import UnknownNameError, UsageError
from oodml.options import coerce_all
from oodml.records import Scalar

QUICK_BACKBONE = "test_resnet.r160_in1k"
PAPER_BACKBONE = "resnet50.tv_in1k"
CROP_FROM = 160  # sides from which pictures are cropped as in the study; smaller ones are squeezed to a square


@dataclass(frozen=True)
class TrainingOptions:
    """How a run trains; every field can be set with `--set train.FIELD=VALUE`.

    Attributes:
        embedding_dim: Width of the embedding.
        image_size: Side of the network's input in pixels; 0 for vectors.
        resize: Side that pictures are stored at; larger than image_size leaves room for the test crop.
        fit: "squash" squeezes the picture to a square, "crop" keeps its aspect.
        batch_size: Samples per step.
        per_class: Samples of a class in a batch.
        sampler: "balanced" (distinct classes and samples) or "class_random" (both with replacement, as in the study).
        steps: Optimiser steps; 0 takes `epochs`.
        epochs: Passes of floor(n / batch_size) steps, where `steps` is 0.
        optimizer: "adam" (coupled weight decay, as in the study) or "adamw".
        lr: Learning rate of backbone and heads.
        weight_decay: Of backbone and heads.
        freeze_batch_norm: Keep the running statistics of batch norms fixed.
        crop_min_scale: Smallest area of the random resized crop, as a share of the picture.
        flip: Mirror half of the pictures.
        warmup_epochs: Epochs at the start in which only heads and losses train, the backbone does not.
        precision: "auto" (bf16 on a GPU, float32 on the CPU), "float32" or "bf16" (mixed: heads, losses and
            evaluation stay in float32).
        evaluations: How often weights are scored for the selections "val" and "oracle".
    """

    embedding_dim: int = 64
    image_size: int = 32
    resize: int = 32
    fit: str = "squash"
    batch_size: int = 112
    per_class: int = 4
    sampler: str = "balanced"
    steps: int = 300
    epochs: int = 0
    optimizer: str = "adamw"
    lr: float = 1e-3
    weight_decay: float = 1e-2
    freeze_batch_norm: bool = False
    crop_min_scale: float = 0.7
    flip: bool = False
    warmup_epochs: int = 0
    precision: str = "auto"
    evaluations: int = 10

    def as_dict(self) -> dict[str, Scalar]:
        """Field names to values."""
        return asdict(self)

    def num_steps(self, num_samples: int) -> int:
        """Steps of a run on so many training samples; an epoch has one step at least."""
        return self.steps or self.epochs * self.steps_per_epoch(num_samples)

    def steps_per_epoch(self, num_samples: int) -> int:
        """Whole batches in so many samples, one at least."""
        return max(1, num_samples // self.batch_size)


QUICK = TrainingOptions()
QUICK_FROM_WEIGHTS: Mapping[str, Scalar] = {"lr": 1e-4, "freeze_batch_norm": True}
"""What quick changes for a network that starts from weights: gentler steps, and statistics that stay as they are."""

PAPER = TrainingOptions(
    embedding_dim=512,
    per_class=2,
    sampler="class_random",
    steps=0,
    epochs=200,
    optimizer="adam",
    lr=1e-5,
    weight_decay=4e-4,
    freeze_batch_norm=True,
    crop_min_scale=0.08,
)
"""Milbich et al. 2021: see the class-wise exceptions in PAPER_EPOCHS."""

PAPER_EPOCHS = {"sop": 150}
PRESETS = {"quick": QUICK, "paper": PAPER}
BACKBONES = {"quick": QUICK_BACKBONE, "paper": PAPER_BACKBONE}


def default_image_size(preset: str, native_size: int | None, default_backbone: bool) -> int:
    """Small pictures as they are; otherwise 64 for the quick preset's own network and 224 for any other."""
    if preset == "quick" and default_backbone:
        return min(native_size or 64, 64)
    return native_size if native_size is not None and native_size <= 64 else 224


@dataclass(frozen=True)
class Situation:
    """What a preset adapts to.

    Attributes:
        dataset: Name of the dataset, for its exceptions.
        photographs: Whether pictures may be mirrored.
        vectors: Whether the inputs are vectors, which are neither resized nor augmented.
        native_size: Side of small images in pixels, or None.
        default_backbone: Whether the preset's own backbone is used.
        from_weights: Whether the backbone starts from trained weights.
    """

    dataset: str = ""
    photographs: bool = True
    vectors: bool = False
    native_size: int | None = None
    default_backbone: bool = True
    from_weights: bool = False


def training_options(preset: str, situation: Situation, overrides: Mapping[str, Scalar]) -> TrainingOptions:
    """A preset in a situation, with the user's overrides.

    Args:
        preset: "quick" or "paper".
        situation: What the preset adapts to.
        overrides: Option names to values.

    Raises:
        UnknownNameError: If there is no such preset or option.
        UsageError: If a value has the wrong type or range.
    """
    if preset not in PRESETS:
        raise UnknownNameError("preset", preset, PRESETS)
    base = PRESETS[preset]
    known = base.as_dict()
    for name in overrides:
        if name not in known:
            raise UnknownNameError("training option", name, known)
    given = coerce_all("train", overrides, known)
    options = replace(base, **{**_automatic(preset, situation, given), **given})
    if situation.vectors:
        options = replace(options, image_size=0, resize=0)
    _check(options)
    return options


def _automatic(preset: str, situation: Situation, given: Mapping[str, Scalar]) -> dict[str, Any]:
    """What follows from the situation where the user says nothing."""
    size = given.get("image_size") or default_image_size(preset, situation.native_size, situation.default_backbone)
    assert isinstance(size, int)
    crop = size >= CROP_FROM and not situation.vectors
    values: dict[str, Any] = {
        "image_size": size,
        "resize": round(size * 256 / 224) if crop else size,
        "fit": "crop" if crop else "squash",
        "flip": situation.photographs and not situation.vectors,
    }
    if preset == "quick" and situation.from_weights:
        values |= QUICK_FROM_WEIGHTS
    if preset == "paper" and situation.dataset in PAPER_EPOCHS:
        values["epochs"] = PAPER_EPOCHS[situation.dataset]
    if given.get("epochs") and "steps" not in given:
        values["steps"] = 0
    return values


def _check(options: TrainingOptions) -> None:
    choices = {
        "sampler": ("balanced", "class_random"),
        "optimizer": ("adam", "adamw"),
        "fit": ("squash", "crop"),
        "precision": ("auto", "float32", "bf16"),
    }
    for name, allowed in choices.items():
        if getattr(options, name) not in allowed:
            raise UnknownNameError(f"value of train.{name}", str(getattr(options, name)), allowed)
    for field in fields(options):
        value = getattr(options, field.name)
        if isinstance(value, int | float) and value < 0:
            raise UsageError(f"train.{field.name} cannot be negative, got {value}")
    if options.steps == 0 and options.epochs == 0:
        raise UsageError("train.steps and train.epochs are both 0; set one of them")
    if options.per_class < 1 or options.batch_size % options.per_class:
        raise UsageError(
            f"train.batch_size={options.batch_size} should be a multiple of train.per_class={options.per_class}"
        )
    if options.embedding_dim < 1 or options.batch_size < 2 or not 0 < options.crop_min_scale <= 1:
        raise UsageError("train needs embedding_dim >= 1, batch_size >= 2 and crop_min_scale in (0, 1]")
    if options.resize < options.image_size:
        raise UsageError(f"train.resize={options.resize} is smaller than train.image_size={options.image_size}")
