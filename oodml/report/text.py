"""Numbers and names as a reader sees them: rounding happens here and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Sequence

MINUS, PLUS_MINUS, EN_DASH, DELTA, ELLIPSIS = "\u2212", "\u00b1", "\u2013", "\u0394", "\u2026"
GAP = "missing"
_PATTERNS = {
    r"recall_at_(\d+)": "Recall@{}",
    r"map_at_(\d+)": "MAP@{}",
    r"rho_(\d+)": "spectral decay \u03c1({}) \u2193",
    r"fnmr_at_fmr_(.+)": "FNMR at FMR {} \u2193",
}
_NAMES = {
    "map_at_r": "MAP@R",
    "map": "MAP",
    "map_at_1000_paper": "MAP@1000 as published",
    "map_at_c_paper": "MAP@C as published",
    "nmi": "NMI",
    "ami": "AMI",
    "f1": "F1",
    "nmi_paper": "NMI as published",
    "f1_paper": "F1 as published",
    "intra": "distance within classes \u2193",
    "inter": "distance between classes",
    "intra_over_inter": "distance within / between classes \u2193",
    "rho_minus_1": "spectral decay \u03c1(\u22121) \u2193",
    "uniformity": "uniformity \u2193",
    "alignment": "alignment \u2193",
    "opis": "OPIS \u2193",
}


def number(value: float, digits: int = 3) -> str:
    """A fixed number of decimals with a proper minus sign; what rounds to zero has no sign."""
    text = f"{value:.{digits}f}"
    return text.replace("-", MINUS) if float(text) else text.lstrip("-")


def signed(value: float | None, digits: int = 3) -> str:
    """Like `number`, with a plus sign before positive values; "" for None."""
    if value is None:
        return ""
    text = number(value, digits)
    return f"+{text}" if value > 0 and float(f"{value:.{digits}f}") else text


def shift(value: float) -> str:
    """A distance: two decimals below 10, one below 100, none above, two digits where it is tiny."""
    size = abs(value)
    if 0 < size < 0.1:
        return f"{value:.2g}".replace("-", MINUS)
    return number(value, 2 if size < 10 else 1 if size < 100 else 0)


def spread(mean: float, low: float | None, high: float | None, digits: int = 3) -> str:
    """An interval by its half-width if it is symmetric at this precision, else by its ends; "" without one."""
    if low is None or high is None:
        return ""
    if abs((high - mean) - (mean - low)) < 0.5 * 10**-digits:
        return f"{PLUS_MINUS} {(high - low) / 2:.{digits}f}"
    return ends(low, high, digits)


def ends(low: float, high: float, digits: int = 3) -> str:
    """An interval by its ends."""
    return f"[{number(low, digits)}, {number(high, digits)}]"


def rank_range(low: int | None, high: int | None) -> str:
    """Ranks that cannot be told apart: "2", "1-3" (with an en dash), or "" when unknown."""
    if low is None or high is None:
        return ""
    return str(low) if low == high else f"{low}{EN_DASH}{high}"


def metric_name(metric: str) -> str:
    """A metric's name in prose: recall_at_1 is "Recall@1", map_at_r is "MAP@R"; an arrow says where lower is better.

    Unknown names stay as they are.
    """
    if metric.startswith("ags_"):
        return f"AGS of {metric_name(metric.removeprefix('ags_'))}"
    if metric.startswith("gain_"):
        return f"gain in {metric_name(metric.removeprefix('gain_'))}"
    if metric.endswith("_macro"):
        return f"{metric_name(metric.removesuffix('_macro'))}, mean of classes"
    for pattern, words in _PATTERNS.items():
        if match := re.fullmatch(pattern, metric):
            return words.format(*match.groups())
    return _NAMES.get(metric, metric)


def interval_name(made: str) -> str:
    """How an interval was made, in words: "t95 over seeds" is "95 % Student's t over seeds"; others stay."""
    return re.sub(r"^t(\d+) over", r"\1 % Student's t over", made)


def shorten(labels: Sequence[str], width: int = 22) -> list[str]:
    """Labels with their middle left out where they are too long for a figure, unless that makes two alike."""
    head = (width - 1) * 3 // 5
    short = [text if len(text) <= width else f"{text[:head]}{ELLIPSIS}{text[head + 1 - width :]}" for text in labels]
    return [new if short.count(new) == 1 else old for new, old in zip(short, labels, strict=True)]


def slug(text: str) -> str:
    """A name that is safe in a file name on every system and in a link."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-") or "benchmark"


def seeds_text(n: int, planned: int) -> str:
    """How many of the planned seeds a number stands on."""
    return f"{n} seed{'' if n == 1 else 's'}" if n >= planned else f"{n}/{planned} seeds"


def one_line(text: str, width: int = 400) -> str:
    """Text on a single line, cut to a width."""
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: width - 1].rstrip() + ELLIPSIS


def p_value(p: float) -> str:
    """A p-value with three decimals, or what it is below."""
    return "< 0.001" if p < 0.001 else number(p)
