"""The section on few-shot adaptation: what it shows, its figures and its tables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from few_shot_case import LADDER, few_shot_rows, few_shot_section, gain
from matplotlib.figure import Figure

from oodml.method_facts import MethodFacts, RunNote
from oodml.report import Failure, markdown, page, write_report
from oodml.report.content import Content, SectionBlock, compose
from oodml.report.few_shot_tables import gain_table, needed_table
from oodml.report.few_shot_view import FewShotView, few_shot_view, mean_gains, panels
from oodml.report.method_cards import locate
from oodml.report.panels import Panels, paint_panels
from oodml.report.style import DARK, LIGHT, drawing, looks
from oodml.report.view import views
from oodml.report.view_block import Choice

METHODS = ("contrastive", "margin", "triplet")
ADAPTERS = {"full": 0.5, "lda:shrink=0.5": 1.5, "linear": 1.0}


def arrange(rows: Sequence[dict[str, Any]]) -> FewShotView:
    section = few_shot_section(rows)
    found = few_shot_view(section, views(section))
    assert found is not None
    return found


@pytest.fixture(scope="module", name="shown")
def _shown() -> FewShotView:
    return arrange(few_shot_rows(METHODS, adapters=ADAPTERS))


@pytest.fixture(scope="module", name="block")
def _block(tmp_path_factory: pytest.TempPathFactory) -> SectionBlock:
    """A composed section with adapters; pictures are not drawn, which takes most of the time."""
    lost = (Failure("margin, linear, 5 shots", 1, 0, "failed", "no memory"),)
    section = few_shot_section(few_shot_rows(METHODS, adapters=ADAPTERS), adaptations=lost)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("oodml.report.export.render", lambda figure, kind: f"<svg>{kind}</svg>".encode())
        (made,) = compose([section], Choice(tmp_path_factory.mktemp("few"), ["recall_at_1", "map_at_r"])).sections
    return made


def test_few_shot_views_are_not_shown_as_views_of_their_own(block: SectionBlock) -> None:
    assert [view.title for view in block.blocks] == ["Zero-shot; last weights"]
    assert block.few_shot is not None
    titles = [group.title for group in block.few_shot.groups]
    assert titles == [
        "Recall@1 with 2 labelled images per class",
        "Recall@1 with 5 labelled images per class",
        "Labelled images per class needed to return to the Recall@1 of the easiest level",
        "MAP@R with 2 labelled images per class",
        "MAP@R with 5 labelled images per class",
        "Labelled images per class needed to return to the MAP@R of the easiest level",
    ]
    assert block.few_shot.needed is not None
    assert block.few_shot.needed.title == f"{titles[2]} (linear)"
    assert [head for head, _ in block.few_shot.needed.rows] == list(METHODS)


def test_figures_are_of_the_main_adapter_and_of_all_together(block: SectionBlock) -> None:
    assert block.few_shot is not None
    stems = [picture.stem for group in block.few_shot.groups for picture in group.pictures]
    expected = [
        f"toy_{m}_few_shot_{k}{end}" for m in ("recall_at_1", "map_at_r") for k in (2, 5) for end in ("", "_adapters")
    ]
    assert stems == expected
    assert "linear with 2 labelled images" in block.few_shot.groups[0].pictures[0].caption


def test_the_headline_says_how_much_and_for_whom_it_grows(block: SectionBlock) -> None:
    assert block.few_shot is not None
    mean = np.mean([gain(0, 1.0, 1, 5, 1.0, e) for e in range(10)])
    sentence = block.few_shot.headline[1]
    assert sentence.startswith(
        "5 labelled images per class (linear) change Recall@1 at the hardest level by +0.045 (margin)"
    )
    assert f"to +{mean:.3f}" in sentence
    assert sentence.endswith("the gain grows for 2 and falls for 0 of 3 methods.")


def test_page_and_markdown_show_the_section(block: SectionBlock) -> None:
    content = Content((block,))
    for source in (page.render(content, []), markdown.render(content, [])):
        assert source.count("Few-shot adaptation") == 1
        assert "Adaptations without a number" in source and "no memory" in source
        assert source.count("lda:shrink=0.5") >= 4
        assert "gain_" not in source
    tables = [part for part in markdown.render(content, []).split("\n\n") if part.startswith("|")]
    for part in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in part.splitlines()}) == 1
    assert 'class="part"' in page.render(content, [])


def test_nothing_of_it_appears_without_few_shot_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oodml.report.export.render", lambda figure, kind: f"<svg>{kind}</svg>".encode())
    rows = [row for row in few_shot_rows(METHODS) if row.get("adapter") in (None, "none")]
    write_report([few_shot_section(rows)], tmp_path)
    assert not list(tmp_path.glob("*few_shot*"))
    assert "Few-shot" not in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_shown_methods_alone_are_in_the_section(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("oodml.report.export.render", lambda figure, kind: f"<svg>{kind}</svg>".encode())
    whole = few_shot_section(few_shot_rows(METHODS))
    section = replace(whole, frame=whole.frame[whole.frame["method"] == "margin"])
    (block,) = compose([section], Choice(tmp_path, ["map_at_r"])).sections
    assert block.few_shot is not None and block.few_shot.needed is not None
    assert [head for head, _ in block.few_shot.needed.rows] == ["margin"]
    assert [head for head, _ in block.few_shot.groups[0].tables[0].rows] == ["margin"]
    assert len(block.few_shot.groups) == 2


def test_the_table_of_gains_by_hand(shown: FewShotView) -> None:
    table = gain_table(shown, 5, "recall_at_1")
    heads = [head for head, _ in table.rows]
    assert heads[:1] + heads[4:5] + heads[8:9] == ["linear", "full", "lda:shrink=0.5"]
    assert [bool(cells) for _, cells in table.rows] == [False, True, True, True] * 3
    flat = dict(table.rows[1:4])["margin"]
    # gain .02 sqrt(5) = .0447 at level 0; seeds .002 apart: half-width 4.3027 .002 / sqrt(3) = .005
    # episodes .003 (-2 .. 2) twice: s = .00447, half-width 2.2622 .00447 / sqrt(10) = .0032
    assert (flat[2].text, flat[2].detail) == ("+0.045", "± 0.005 (± 0.003)")
    assert (flat[0].text, flat[0].detail, flat[1].text) == ("0.000", "± 0.022", "no clear trend")
    grown = dict(table.rows[1:4])["triplet"]
    assert (grown[6].text, grown[0].text, grown[1].text) == ("+0.268", "+0.224", "grows")
    assert "from the slopes of the seeds" in table.note


def test_a_single_seed_shows_the_interval_over_episodes_in_brackets() -> None:
    table = gain_table(arrange(few_shot_rows(("margin",), seeds=1)), 5, "recall_at_1")
    ((_, cells),) = table.rows
    assert cells[2].detail == "(± 0.003)"
    assert "over seeds" not in table.note and "residuals" in table.note


def test_gaps_and_partial_seeds_are_told() -> None:
    rows = few_shot_rows(("margin",), shots=(5,), metrics=("recall_at_1",))
    rows = [r for r in rows if (r.get("adapter"), r["level"], r["seed"]) != ("linear", 1, 2)]
    rows = [r for r in rows if (r.get("adapter"), r["level"]) != ("linear", 2)]
    found = arrange(rows)
    ((_, cells),) = gain_table(found, 5, "recall_at_1").rows
    assert "2/3 seeds" in cells[3].detail
    assert (cells[4].text, cells[4].kind) == ("missing (0/3)", "gap")
    assert "4/5 levels" in cells[0].detail
    needed = needed_table(found, "recall_at_1")
    assert needed is not None and needed.rows[0][1][1].kind == "gap"
    (panel,) = panels(found, 5, "linear", "recall_at_1")
    assert [point is None for point in panel.adapted] == [False, False, True, False, False]
    assert not any(point is None for point in panel.none) and panel.relative[2] is None


def test_images_needed_say_the_number_or_that_it_is_not_enough(shown: FewShotView) -> None:
    table = needed_table(shown, "recall_at_1")
    assert table is not None
    # level 1 costs .075; linear at 2 shots adds .045 sqrt(2) = .064, at 5 shots .101; the easiest level is the first
    assert [entry.text for entry in dict(table.rows[1:4])["contrastive"]] == ["5", "5", "> 5", "> 5"]
    assert [entry.text for entry in dict(table.rows[1:4])["margin"]] == ["> 5"] * 4
    assert [column.group for column in table.columns] == ["level 1 (default)", "level 2", "level 3", "level 4"]


def test_relative_gains_are_in_percent_with_their_line(shown: FewShotView) -> None:
    panel = panels(shown, 5, "linear", "recall_at_1")[0]
    assert panel.method == "contrastive"
    expected = [
        100 * point.y / before.y - 100
        for point, before in zip(panel.adapted, panel.none, strict=True)
        if point and before
    ]
    assert panel.relative == pytest.approx(expected, abs=0.05)  # mean of the seeds' ratios, not the ratio of the means
    slope, intercept = np.polyfit([level.shift for level in LADDER], [v for v in panel.relative if v is not None], 1)
    assert panel.line == pytest.approx([intercept + slope * level.shift for level in LADDER])


def test_the_mean_over_methods_has_a_gap_where_one_lacks() -> None:
    rows = few_shot_rows(METHODS, adapters=ADAPTERS, shots=(5,), metrics=("recall_at_1",))
    rows = [r for r in rows if (r.get("adapter"), r["level"], r["method"]) != ("full", 3, "margin")]
    chart, compared = mean_gains(arrange(rows), 5, "recall_at_1")
    assert compared == list(METHODS) and list(chart.lines) == ["linear", "full", "lda:shrink=0.5"]
    assert [point is None for point in chart.lines["full"]] == [False, False, False, True, False]
    point = chart.lines["linear"][4]
    wanted = [np.mean([gain(rank, 1.0, s, 5, 1.0, e) for s in range(3) for e in range(10)]) for rank in range(3)]
    assert point and point.y == pytest.approx(np.mean(wanted)) and point.low is None


def paint(shown: FewShotView, count: int | None = None) -> Figure:
    drawn = tuple(panels(shown, 5, "linear", "recall_at_1"))[:count]
    chart = Panels("Recall@1", "5 labelled images per class, linear", LADDER, drawn)
    with drawing():
        figure = paint_panels(chart, looks([panel.method for panel in drawn], LIGHT), LIGHT)
        figure.draw_without_rendering()
    return figure


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (2, 2), (5, 3), (12, 3)])
def test_names_ticks_and_panels_stay_on_the_figure_and_apart(count: int, columns: int) -> None:
    names = [f"method_{i}" for i in range(count - 1)] + ["a_very_long_name_of_a_method (beta=0.6, margin=0.2)"]
    figure = paint(arrange(few_shot_rows(names, shots=(5,), metrics=("recall_at_1",), seeds=2)))
    axes = figure.axes[::2]
    wide, tall = figure.get_size_inches() * figure.dpi
    assert len({round(each.get_position().x0, 3) for each in axes}) == columns
    boxes = [t.get_window_extent() for each in axes for t in each.texts] + [t.get_window_extent() for t in figure.texts]
    for each in figure.axes:
        for axis in (each.xaxis, each.yaxis):
            low, high = axis.get_view_interval()
            ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            boxes += [t.get_window_extent() for tick in ticks for t in (tick.label1, tick.label2) if t.get_visible()]
    boxes = [box for box in boxes if box.width > 0]
    assert len(boxes) > 2 * count
    assert all(box.x0 >= 0 and box.x1 <= wide and box.y0 >= 0 and box.y1 <= tall for box in boxes)
    assert not [1 for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]


def test_panels_share_axes_and_values_stand_above_gains() -> None:
    figure = paint(arrange(few_shot_rows(METHODS, shots=(5,), metrics=("recall_at_1",))))
    upper, lower = figure.axes[::2], figure.axes[1::2]
    assert len({axes.get_ylim() for axes in upper}) == len({axes.get_ylim() for axes in lower}) == 1

    def heights(axes: Any, lines: Sequence[Any]) -> list[float]:
        points = np.concatenate([np.asarray(line.get_xydata()) for line in lines if len(line.get_xdata()) == 5])
        return [float(y) for y in axes.transAxes.inverted().transform(axes.transData.transform(points))[:, 1]]

    for above, below in zip(upper, lower, strict=True):
        assert min(heights(above, above.lines)) > max(heights(below, below.lines)) > 0


def test_methods_keep_their_colours_and_the_two_curves_differ() -> None:
    figure = paint(arrange(few_shot_rows(METHODS, shots=(5,), metrics=("recall_at_1",))))
    before, after = [line for line in figure.axes[2].lines if len(np.asarray(line.get_xdata())) == 5]
    assert before.get_color() == after.get_color() == LIGHT.colours[1]
    assert before.get_linestyle() != after.get_linestyle() and before.get_markerfacecolor() == LIGHT.page


def test_gains_lead_to_the_runs_behind_them(shown: FewShotView) -> None:
    runs = tuple(RunNote("r", level.index, 0, "last", "done", {}) for level in LADDER)
    cards = locate("toy", [MethodFacts(method, runs=runs) for method in METHODS])
    table = gain_table(shown, 5, "recall_at_1", cards)
    assert table.links == {method: f"toy-m{i}" for i, method in enumerate(METHODS)}
    _, cells = next(row for row in table.rows if row[0] == "margin")
    assert [cell.link for cell in cells] == ["", "", *(f"toy-m1-{level.index}" for level in LADDER)]


def test_of_many_methods_a_figure_shows_those_with_a_colour(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("oodml.report.export.render", lambda figure, kind: f"<svg>{kind}</svg>".encode())
    names = [f"method_{i:02}" for i in range(14)]
    rows = few_shot_rows(names, shots=(5,), metrics=("recall_at_1",), seeds=1, episodes=2)
    (block,) = compose([few_shot_section(rows)], Choice(tmp_path, ["recall_at_1"])).sections
    assert block.few_shot is not None
    (picture,) = block.few_shot.groups[0].pictures
    assert picture.stem == "toy_recall_at_1_few_shot_5" and "12 methods" in picture.alt
    assert picture.caption.endswith("The table below has 2 other methods.")
    assert len(block.few_shot.groups[0].tables[0].rows) == 14


def test_the_same_rows_give_the_same_report(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("oodml.report.export.render", lambda figure, kind: f"<svg>{kind}</svg>".encode())
    rows = few_shot_rows(METHODS[:2], adapters=ADAPTERS, seeds=2, shots=(5,), metrics=("map_at_r",))
    sections = (few_shot_section(rows), few_shot_section(rows[::-1]))
    first, second = (
        write_report([section], tmp_path / name, metrics=["map_at_r"]).read_bytes()
        for section, name in zip(sections, "ab", strict=True)
    )
    assert first == second and DARK.name == "dark"


def test_a_frame_without_the_summary_still_shows_its_gains(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("oodml.report.export.render", lambda figure, kind: f"<svg>{kind}</svg>".encode())
    section = replace(few_shot_section(few_shot_rows(METHODS)), few_shot=None)
    (block,) = compose([section], Choice(tmp_path, ["recall_at_1"])).sections
    assert block.few_shot is not None and block.few_shot.needed is None
    cells = block.few_shot.groups[0].tables[0].rows[0][1]
    assert cells[2].detail == "± 0.005" and cells[0].kind == "gap"


def test_a_method_far_from_the_others_does_not_flatten_them() -> None:
    rows = few_shot_rows(("a", "b"), shots=(5,), metrics=("recall_at_1",), seeds=1)
    rows = [{**row, "value": row["value"] - 3.0} if row["method"] == "b" else row for row in rows]
    one, _, other, _ = paint(arrange(rows)).axes
    spans = [axes.get_ylim()[1] - axes.get_ylim()[0] for axes in (one, other)]
    assert spans[0] == pytest.approx(spans[1]) and spans[0] < 1.0
    assert one.get_ylim()[0] > other.get_ylim()[1]
    assert all(axes.yaxis.get_tick_params()["labelleft"] for axes in (one, other))
