"""The import rule of the design, checked on the syntax trees: which part may know which."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "oodml"
CORE = {
    "devices",
    "directions",
    "errors",
    "memory",
    "networks",
    "options",
    "records",
    "registry",
    "schema",
    "seeds",
    "store",
    "version",
}
LEAVES = {"datasets", "backbones", "methods", "metrics"}
ENGINE = {
    "approximate",
    "augmentation",
    "checkpoints",
    "class_values",
    "clusters",
    "dataset_ref",
    "embedder",
    "embeddings",
    "evaluation",
    "evaluation_input",
    "evaluation_parts",
    "faiss_library",
    "images",
    "inputs",
    "kept_models",
    "ladder_embedder",
    "model",
    "pair_statistics",
    "presets",
    "query_table",
    "ranking",
    "run_errors",
    "sampling",
    "summaries",
    "training",
    "training_watch",
}
TABLES = {
    "class_intervals",
    "codes",
    "comparisons",
    "controls",
    "entries",
    "few_shot_statistics",
    "findings",
    "gain_pairs",
    "method_facts",
    "leaderboard",
    "leaderboard_files",
    "leaderboard_rows",
    "method_groups",
    "method_labels",
    "multiplicity",
    "parts",
    "plan",
    "published",
    "rank_correlation",
    "ranks",
    "repeat",
    "report",
    "reporting",
    "resampling",
    "results",
    "robustness",
    "run_scores",
    "statistics",
    "sweep_config",
}
ADAPTERS = {"adapters"}
RUNNER = {"adaptation", "adapter_specs", "compare_shift", "make_splits", "runner", "shift_embedders"}
TOP = {
    "adapting",
    "__init__",
    "__main__",
    "app",
    "arguments",
    "commands",
    "compaction",
    "console",
    "durations",
    "estimate",
    "execution_options",
    "executors",
    "few_shot",
    "job_files",
    "mirror",
    "prepared_sweep",
    "progress",
    "run_heads",
    "standings",
    "run_logs",
    "sweep",
    "sweep_display",
    "sweep_folder",
    "sweep_status",
    "trackers",
    "watching",
}
MAY_IMPORT = {
    **dict.fromkeys(CORE, CORE),
    "splits": CORE,
    **{leaf: CORE | {leaf} for leaf in LEAVES},
    **dict.fromkeys(ENGINE, CORE | LEAVES | ENGINE),
    **dict.fromkeys(ADAPTERS, CORE | {"methods"} | ENGINE | ADAPTERS),
    **dict.fromkeys(TABLES, CORE | TABLES | {"splits", "presets", "methods", "metrics", "prepared_sweep", "few_shot"}),
    **dict.fromkeys(RUNNER, CORE | LEAVES | ENGINE | ADAPTERS | RUNNER | {"splits"}),
}
NUMERIC_ONLY = {
    "comparisons",
    "leaderboard",
    "leaderboard_files",
    "metrics",
    "multiplicity",
    "parts",
    "plan",
    "published",
    "rank_correlation",
    "ranks",
    "report",
    "reporting",
    "resampling",
    "results",
    "robustness",
    "run_scores",
    "splits",
    "statistics",
}


def part_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports(path: Path, runtime_only: bool = False) -> set[str]:
    """Modules that a file imports anywhere; with runtime_only not those under `if TYPE_CHECKING`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if runtime_only and isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            skipped.update(ast.walk(node))
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})
    return found


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_parts_import_only_what_stands_below_them(path: Path) -> None:
    part = part_of(path)
    assert part in MAY_IMPORT or part in TOP, f"give {part} a place in the import rule"
    if part in TOP:
        return
    used = {name.split(".")[1] for name in imports(path) if name.startswith("oodml.")}
    ours = {part_of(file) for file in FILES}
    assert (used & ours) - {part} <= MAY_IMPORT[part]


@pytest.mark.parametrize("path", [p for p in FILES if part_of(p) in NUMERIC_ONLY], ids=lambda p: p.stem)
def test_parts_that_must_start_fast_never_import_torch(path: Path) -> None:
    heavy = {name.split(".")[0] for name in imports(path)} & {"torch", "torchvision", "timm", "faiss"}
    assert not heavy


@pytest.mark.parametrize(
    "module", ["oodml", "oodml.app", "oodml.plan", "oodml.reporting", "oodml.splits", "oodml.sweep_config"]
)
def test_importing_does_not_load_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_size_limits_of_the_design_hold() -> None:
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 300, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 50, f"{path}: {node.name}"
