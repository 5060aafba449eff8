"""The subcommands: parse, call one function, print. Heavy imports stay inside the functions."""
