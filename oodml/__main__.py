"""`python -m oodml`: the same program as the `oodml` command."""

from oodml.app import app

app(prog_name="oodml")
