"""Losses of pytorch-metric-learning as methods, built from their records in `cards/library.py`."""
