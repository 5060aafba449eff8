"""Leaderboard files of one or several people: checked, joined, filtered, exported. Free of torch."""

from oodml.leaderboard_files.merging import merge_leaderboards
from oodml.leaderboard_files.validation import validate_leaderboard
from oodml.leaderboard_files.words import Problem

__all__ = ["Problem", "merge_leaderboards", "validate_leaderboard"]
