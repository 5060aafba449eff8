"""Metrics by name. This package imports no engine."""

from oodml.metrics.base import HEADLINE_METRICS, METRICS, Metric, metric_info, metric_names

__all__ = ["HEADLINE_METRICS", "METRICS", "Metric", "metric_info", "metric_names"]
