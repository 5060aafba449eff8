"""Exact ranks of the positives of queries, in bounded memory, on a CPU or a GPU."""
