"""Executors: how the runs of a plan are spread over processes."""
