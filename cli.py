"""Runs the `oodml` command from a checkout."""

from oodml.app import app

app(prog_name="oodml")
