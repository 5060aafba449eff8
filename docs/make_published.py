"""Writes the page on the published study from the figures in the package: `python docs/make_published.py`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from oodml.published import PublishedLadder, Reading, Study, published_study

FILE = Path(__file__).parent / "published.md"
UNKNOWN, PLUS_MINUS = "not known", "±"
MARKS = {"": "", "~": " ~", "*": " ◦"}
READING = """\
The repository of the paper shows these results as plots. The numbers below were read off them: recall@1 by split from
`images/progression_comp.png`, AGS from `images/AUC_Comp.png`, few-shot gains from `images/fewshot.png`. **They are not
the authors' numbers to the last digit.** The shifts are constants in its `create_dataset_splits.py`.

What a reading leaves open, in points of percent:

| number | uncertainty | because |
|---|---|---|
| recall@1 | ± {free} | the marker stands free |
| recall@1, ~ | ± {hidden} | the marker is partly hidden behind another one |
| recall@1, ◦ | ± {second} | from a second, coarser reading of the same curves; fills gaps of the first |
| AGS on CUB200-2011 and CARS196 | ± {ags} | .04 of the bar's end, .05 of one decimal |
| AGS on Stanford Online Products | ± {ags_sop} | .02 of the bar's end, .005 of two decimals |
| gain by labelled images | ± {gain} | reading of a point |
| recall@1 before adaptation | ± {before} | read to a point |

The readings agree with each other: where a method has a value at every split, the area under recall@1 against the
scaled shift gives its AGS within .1 points, for all {complete} such rows (a test computes it)."""
CONDITIONS = """\
- Published recall@1 is, as in most of this field, the maximum over epochs **on the test classes**. `--selection oracle`
  does the same and says so in every row; `last`, the default, is what a fair comparison takes.
- Few-shot results are an exception: they start from networks trained on three quarters of the training classes with the
  last weights, and ask for the images that are not in the support. So recall@1 before adaptation is about six points
  below that of the other table.
- AGS is the area under recall@1 against the shift, by trapezoids, the shift scaled to [0, 1] over the splits."""
NOT_KNOWN = """\
- Recall@1 where the tables say so: {gaps} of {cells} cells, whose markers are covered by others.
- AGS of any metric but recall@1; other metrics per split.
- How much the published numbers vary between seeds, and how many seeds there were.
- The class counts of the splits of CUB200-2011 and Stanford Online Products beyond their default ones.
- Few-shot gains on CARS196 and Stanford Online Products.
- Which of two shifts split 6 of CARS196 was evaluated at: the code has {code_shift}, the split file {file_shift}. oodml
  takes that of the file; for AGS they make no difference that the reading could tell."""
RUN = """\
The split files come from the study's repository. `oodml import-splits` says where images belong if they are missing.

<!-- needs data: the study's split files and photographs -->
```bash
oodml import-splits CARS196_splits.pkl --dataset cars196 --root data   # splits/cars196-published; runs nothing in it
oodml sweep splits/cars196-published --methods study --preset paper --selection oracle --seeds 5
oodml report results/cars196-published --compare-published
```

`cub200` and `sop` go the same way. `--dry-run` shows the plan and the time: eight methods on eight splits with five
seeds are 320 runs of a ResNet-50 over 200 epochs each (150 on `sop`), which asks for GPUs
([scaling out](scaling.md)). A part of it is worth having as well: `--methods margin,s2sd --levels 0,7 --seeds 2`; AGS
needs every level.

The few-shot numbers have no place in the comparison yet. What comes nearest holds the validation classes out, but keeps
the weights that are best on them instead of the last ones:

<!-- needs data: the study's photographs -->
```bash
oodml sweep splits/cub200-published --methods arcface,s2sd --preset paper --selection val --shots 2,5 --seeds 5
```

The report compares a ladder if all its levels were imported, their shifts are the published ones within 1 %, and the
class counts are those of the table above where they are known; and it compares the runs that have the network and the
training options of `--preset paper`. What it leaves out, and why, it says. A difference counts as *within* if our
interval over seeds and what the reading leaves open overlap. Options of a method may differ and are named, as are
weights from a file; `published=true`, which repeats slips of the original code, counts as the study's
([methods](methods.md))."""


def page() -> str:
    """The whole page, the same for the same figures."""
    study = published_study()
    parts = [
        "# The published study",
        f"{study.authors}: *{study.title}*, {study.venue}, arXiv:{study.arxiv}; code: {study.code}.",
        "This page is made from `oodml/published/study.toml`; `oodml.published.published_study()` has the same.",
        "## Where the numbers come from",
        READING.format(**_uncertainties(study)),
        "## Under which conditions",
        CONDITIONS,
        "## AGS of recall@1, percent",
        _table(_ags(study)),
        *(part for ladder in study.ladders for part in _ladder(study, ladder)),
        f"## Gain by labelled images per test class, {_title(study)}, points of recall@1",
        _table(_few_shot(study)),
        "## What is not known",
        NOT_KNOWN.format(**_gaps(study)),
        "## Compare your own runs",
        RUN,
    ]
    return "\n\n".join(parts) + "\n"


def _uncertainties(study: Study) -> dict[str, str]:
    readings = [r for ladder in study.ladders for row in ladder.recall_at_1.values() for r in row if r]
    marks = {reading.mark: reading.uncertainty for reading in readings}
    birds, _, products = (next(iter(ladder.ags.values())).uncertainty for ladder in study.ladders)
    gain = next(r for row in study.few_shot.gains.values() for r in row if r).uncertainty
    before = next(iter(study.few_shot.unadapted.values())).uncertainty
    named = {"free": marks[""], "hidden": marks["~"], "second": marks["*"], "ags": birds, "ags_sop": products}
    named |= {"gain": gain, "before": before}
    complete = sum(None not in row for ladder in study.ladders for row in ladder.recall_at_1.values())
    return {name: f"{100 * value:.4g}".removeprefix("0") for name, value in named.items()} | {"complete": str(complete)}


def _ags(study: Study) -> Iterator[Sequence[str]]:
    yield "method", "name here", *(ladder.title for ladder in study.ladders)
    for method, label in study.methods.items():
        cells = [_percent(ladder.ags[method], 1 if ladder.dataset != "sop" else 2) for ladder in study.ladders]
        yield label, f"`{method}`", *cells


def _ladder(study: Study, ladder: PublishedLadder) -> Iterator[str]:
    yield f"## Recall@1 by split on {ladder.title}, percent"
    default, removal = ladder.default, ladder.removal_from
    yield (
        f"`{ladder.dataset}`. The literature uses split {default}; before split {removal} classes change "
        "sides, from there on classes are left out."
    )
    yield _table(_curves(study, ladder))


def _curves(study: Study, ladder: PublishedLadder) -> Iterator[Sequence[str]]:
    yield "split", *(str(number) for number in range(1, len(ladder.shifts) + 1))
    yield "*shift*", *(f"*{shift:.2f}*" for shift in ladder.shifts)
    for name, counts in (("classes on either side", ladder.classes), ("of these for validation", ladder.validation)):
        if counts:
            yield f"*{name}*", *(f"*{count}*" for count in counts)
    for method, label in study.methods.items():
        yield label, *(_percent(reading, 1) for reading in ladder.recall_at_1[method])


def _few_shot(study: Study) -> Iterator[Sequence[str]]:
    few = study.few_shot
    shots = sorted({k for k, _ in few.gains})
    heads = [f"{k} images, split {split}" for k in shots for split in few.splits]
    yield "method", *heads, f"before, split {few.unadapted_split}"
    for method, before in few.unadapted.items():
        gains = [reading for k in shots for reading in few.gains[k, method]]
        cells = [UNKNOWN if reading is None else f"+{100 * reading.value:.1f}" for reading in gains]
        yield study.methods[method], *cells, f"{100 * before.value:.3g}"


def _gaps(study: Study) -> dict[str, object]:
    cells = [reading for ladder in study.ladders for row in ladder.recall_at_1.values() for reading in row]
    cars = next(ladder for ladder in study.ladders if ladder.shifts_in_file)
    ((number, other),) = cars.shifts_in_file.items()
    return {
        **{"gaps": sum(reading is None for reading in cells), "cells": len(cells)},
        **{"code_shift": cars.shifts[number - 1], "file_shift": other},
    }


def _title(study: Study) -> str:
    return next(ladder.title for ladder in study.ladders if ladder.dataset == study.few_shot.dataset)


def _percent(reading: Reading | None, digits: int) -> str:
    return UNKNOWN if reading is None else f"{100 * reading.value:.{digits}f}{MARKS[reading.mark]}"


def _table(rows: Iterator[Sequence[str]]) -> str:
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, "|---" * (head.count(" | ") + 1) + "|", *body])


if __name__ == "__main__":
    FILE.write_text(page(), encoding="utf-8")
    print(f"written: {FILE}")
