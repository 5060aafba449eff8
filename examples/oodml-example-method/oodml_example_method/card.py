"""The record of the method. Free of torch, because it is read whenever methods are listed."""

from __future__ import annotations

from oodml.methods.cards import MethodInfo

INFO = MethodInfo(
    name="squared_hinge",
    target="oodml_example_method.squared_hinge:SquaredHinge",
    summary="Squared hinges that push cosines of a class above one bound and all others below another.",
    paper="made for this example",
    family="pairs",
    group="example",
    equation="mean over positive pairs of [upper - s]+^2 + mean over negative pairs of [s - lower]+^2, s the cosine",
    options={"upper": 0.9, "lower": 0.3},
)
