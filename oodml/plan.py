"""The plan of a sweep: methods x levels x seeds as RunSpecs, in the order in which they run. Free of torch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from oodml import registry, schema, store
from oodml.errors import ResultsError, UnknownNameError, UsageError
from oodml.methods.cards import MethodInfo
from oodml.options import coerce_all, parse_names
from oodml.presets import TrainingOptions
from oodml.records import Ladder, RunSpec, Scalar, as_options
from oodml.schema import SELECTIONS

DEFAULT_METHODS = (
    "frozen",
    *("margin", "multisimilarity", "arcface", "proxy_anchor", "r_margin", "uniform_prior", "s2sd", "diva"),
)
"""The control and the eight methods of the study."""


def parse_seeds(text: str) -> list[int]:
    """`"3"` as seeds 0, 1, 2; `"0,5"` as exactly these.

    Raises:
        UsageError: If it is neither.
    """
    try:
        numbers = [int(part) for part in parse_names(text)]
    except ValueError:
        numbers = []
    seeds = list(range(numbers[0])) if len(numbers) == 1 and "," not in text else numbers
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise UsageError(f"--seeds {text!r} should be a count such as 3, or different seeds such as 0,1,2")
    return seeds


def parse_levels(text: str, ladder: Ladder) -> list[int]:
    """`"0,default,7"` as level indices of the ladder, in its order.

    Raises:
        UsageError: If a level does not exist.
    """
    names = {level.name: level.index for level in ladder.levels} | {str(v.index): v.index for v in ladder.levels}
    for part in parse_names(text):
        if part not in names:
            raise UsageError(f"--levels: ladder {ladder.name!r} has no level {part!r}; it has {', '.join(names)}")
    return sorted({names[part] for part in parse_names(text)})


def make_plan(
    ladder: Ladder,
    *,
    methods: Sequence[str] = DEFAULT_METHODS,
    levels: Sequence[int] | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    backbone: str,
    backbone_config: Mapping[str, Scalar],
    from_scratch: bool,
    training: TrainingOptions,
    exceptions: Mapping[str, TrainingOptions] | None = None,
    settings: Mapping[str, Mapping[str, Scalar]] | None = None,
    selection: str = "last",
) -> list[RunSpec]:
    """All runs of a grid, seeds outermost so that an unfinished sweep already compares every method.

    Args:
        ladder: The ladder.
        methods: Registered names.
        levels: Level indices; all if None.
        seeds: Seeds of the runs; a method that trains nothing on given weights runs with the first one only.
        backbone: Name of the backbone.
        backbone_config: Identity of the network (weights tag or hash, keywords).
        from_scratch: Whether the backbone starts from random weights.
        training: Resolved training options.
        exceptions: Method name to its own training options, where it has such.
        settings: Method name to its overridden options.
        selection: "last", "val" or "oracle".

    Raises:
        UnknownNameError: If a method, option or selection does not exist.
        UsageError: If settings name a method that is not in the sweep.
    """
    if selection not in SELECTIONS:
        raise UnknownNameError("selection", selection, SELECTIONS)
    configs = _resolve_methods(methods, ladder.dataset.partition(":")[0], settings or {})
    network, trained = as_options(backbone_config), as_options(training.as_dict())
    template = RunSpec(ladder.ladder_hash, backbone, network, trained, selection)
    kinds = [(info, _for_method(template, info.name, config, exceptions or {})) for info, config in configs]
    return [
        replace(kind, level=level, seed=seed)
        for seed in seeds
        for level in (levels if levels is not None else range(len(ladder.levels)))
        for info, kind in kinds
        if info.trains or from_scratch or seed == seeds[0]
    ]


def _for_method(
    template: RunSpec, name: str, config: Mapping[str, Scalar], exceptions: Mapping[str, TrainingOptions]
) -> RunSpec:
    training = as_options(exceptions[name].as_dict()) if name in exceptions else template.training
    return replace(template, method=name, config=as_options(config), training=training)


def _resolve_methods(
    methods: Sequence[str], dataset: str, settings: Mapping[str, Mapping[str, Scalar]]
) -> list[tuple[MethodInfo, dict[str, Scalar]]]:
    cards: list[MethodInfo] = [registry.load("method", name) for name in dict.fromkeys(methods)]
    for scope in settings:
        if scope not in methods:
            registry.load("method", scope)
            raise UsageError(f"--set {scope}.…: method {scope!r} is not in this sweep")
    resolved = []
    for card in cards:
        own = coerce_all(card.name, settings.get(card.name, {}), card.options)
        resolved.append((card, card.resolve_options(dataset, own)))
    return resolved


def describe_training(backbone: str, config: str) -> str:
    """Backbone and training options in one line.

    Args:
        backbone: Name of the backbone.
        config: `RunSpec.config_json`.
    """
    parts = json.loads(config)
    training, weights = parts["training"], parts["backbone"]["weights"]
    length = f"{training['steps']} steps" if training["steps"] else f"{training['epochs']} epochs"
    size = f"{training['image_size']} px" if training["image_size"] else "vectors"
    start = "from scratch" if weights == "none" and training["image_size"] else f"weights {weights}"
    return (
        f"{backbone} {start}, {size}, {training['embedding_dim']}-d, {length} of {training['batch_size']}, "
        f"{training['optimizer']} lr {training['lr']:g}"
    )


def plan_table(specs: Iterable[RunSpec], benchmark: str) -> Any:
    """The plan as a table of schema PLAN."""
    rows = list(specs)
    columns: dict[str, list[Any]] = {
        "schema_version": [schema.VERSIONS["plan"]] * len(rows),
        "run_id": [spec.run_id for spec in rows],
        "benchmark": [benchmark] * len(rows),
        "level": [spec.level for spec in rows],
        "method": [spec.method for spec in rows],
        "backbone": [spec.backbone for spec in rows],
        "embedding_dim": [dict(spec.training)["embedding_dim"] for spec in rows],
        "config": [spec.config_json for spec in rows],
        "seed": [spec.seed for spec in rows],
        "selection": [spec.selection for spec in rows],
        "spec": [json.dumps(asdict(spec), sort_keys=True) for spec in rows],
    }
    return schema.table(schema.PLAN, columns)


def label(spec: RunSpec) -> str:
    """A run in words."""
    return f"{spec.method}, level {spec.level}, seed {spec.seed}"


def spec_from_json(text: str) -> RunSpec:
    """The run that a plan's column `spec` holds."""
    values = json.loads(text)
    for name in ("config", "backbone_config", "training"):
        values[name] = tuple((key, value) for key, value in values[name])
    return RunSpec(**values)


def load_specs(path: Path) -> list[RunSpec]:
    """The runs of a plan file.

    Raises:
        ResultsError: If there is none, it cannot be read, or it is of an oodml that named runs differently.
    """
    if not path.exists():
        raise ResultsError(f"there is no plan {path}; `oodml sweep` writes one")
    table = store.read_table(path, schema.PLAN)
    specs = []
    for run_id, text in zip(table.column("run_id").to_pylist(), table.column("spec").to_pylist(), strict=True):
        specs.append(spec_from_json(text))
        if specs[-1].run_id != run_id:
            raise ResultsError(
                f"{path} names run {run_id} which is {specs[-1].run_id} to this oodml: another version made the sweep; "
                "sweep into a new folder"
            )
    return specs


def save_plan(path: Path, specs: Sequence[RunSpec], benchmark: str) -> None:
    """Adds runs to the plan file of a sweep; those that it already holds stay as they are."""
    _add(path, plan_table(specs, benchmark))


def join_plans(path: Path, other: Path) -> None:
    """Adds the runs of another plan file to one, which need not be there."""
    _add(path, store.read_table(other, schema.PLAN))


def _add(path: Path, table: Any) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    if path.exists():
        known = store.read_table(path, schema.PLAN)
        new = table.filter(pc.invert(pc.is_in(table.column("run_id"), known.column("run_id"))))
        if not len(new):
            return
        table = pa.concat_tables([known, new]).replace_schema_metadata(schema.PLAN.metadata)
    store.write_table(path, table)
