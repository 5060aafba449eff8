"""Metrics by name. This package's records import neither torch nor an engine."""

from oodml.metrics.base import DEFAULT_METRICS, METRICS, Metric, metric_info

__all__ = ["DEFAULT_METRICS", "METRICS", "Metric", "metric_info"]
