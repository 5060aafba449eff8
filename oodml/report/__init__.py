"""Reports: curves, tables and one page made of leaderboards. Formatting only, no statistics of its own."""

from oodml.report.sections import Facts, Failure, Section
from oodml.report.write import write_report

__all__ = ["Facts", "Failure", "Section", "write_report"]
