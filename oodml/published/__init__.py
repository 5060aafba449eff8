"""Figures that the study has published, as data: what ours are compared with. Free of torch and pandas."""

from oodml.published.reading import parse_study, published_study
from oodml.published.records import FewShotGains, PublishedLadder, Reading, Study

__all__ = ["FewShotGains", "PublishedLadder", "Reading", "Study", "parse_study", "published_study"]
