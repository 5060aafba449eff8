"""Work beside: the same results from one process and from two."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from few_shot_case import few_shot_rows, few_shot_section

from oodml.report import write_report
from oodml.report.beside import beside


@pytest.mark.parametrize("processes", [1, 2])
def test_a_result_is_that_of_the_function(processes: int) -> None:
    with beside(processes) as start:
        asked = [start(divmod, number, 3) for number in (7, 8)]
        assert [result() for result in asked] == [(2, 1), (2, 2)]


def test_two_work_in_another_process_and_one_in_this() -> None:
    with beside(1) as start:
        assert start(os.getpid)() == os.getpid()
    with beside(2) as start:
        assert start(os.getpid)() != os.getpid()


def test_errors_come_back() -> None:
    with beside(2) as start, pytest.raises(ZeroDivisionError):
        start(divmod, 1, 0)()


def test_a_report_is_the_same_from_two_processes(tmp_path: Path) -> None:
    section = few_shot_section(few_shot_rows(("margin", "triplet"), shots=(5,), metrics=("recall_at_1",)))
    pages = [
        write_report([section], tmp_path / str(n), metrics=["recall_at_1"], figures=["ags"], processes=n)
        for n in (1, 2)
    ]
    assert pages[0].read_bytes() == pages[1].read_bytes()
    names = [{path.name for path in page.parent.iterdir()} for page in pages]
    assert names[0] == names[1] and any("few_shot" in name for name in names[0])
