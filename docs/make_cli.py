"""Writes the reference of the command line from the program itself: `python docs/make_cli.py`."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import typer.main

from oodml.app import app

FILE = Path(__file__).parent / "cli.md"
INTRODUCTION = """\
# Command line

This page is made from the program; `oodml COMMAND --help` shows the same for the installed version. Exit codes: 0 all
done, 1 some runs have no result, 2 bad input (the message says what to do), 130 interrupted. Options of a sweep can
also stand in a file, `--config sweep.toml`; what is given on the command line wins.
"""
VALUES = {bool: "", int: "N", float: "X", Path: "PATH", str: "NAME"}


def page() -> str:
    """The whole reference, the same for the same program."""
    commands = dict(_commands(typer.main.get_command(app)))
    links = [(f"[`{name}`](#{name.replace(' ', '-')})", _first(command.help)) for name, command in commands.items()]
    overview = [("command", "what it does"), *links]
    parts = [INTRODUCTION, _table(overview), *(_command(name, command) for name, command in commands.items())]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Full name and command, those of groups within groups too."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def _command(name: str, command: Any) -> str:
    hints = typing.get_type_hints(command.callback)
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.name != "help"]
    usage = " ".join(["oodml", name, "[OPTIONS]", *(_argument(p) for p in arguments)])
    parts = [f"## {name}", _plain(inspect.cleandoc(command.help)), f"```text\n{usage}\n```"]
    if arguments:
        rows = [(f"`{_argument(p)}`", _plain(p.help or "")) for p in arguments]
        parts.append(_table([("argument", "meaning"), *rows]))
    for panel in dict.fromkeys(getattr(p, "rich_help_panel", None) for p in options):
        parts.append(f"**{panel or 'Options'}**")
        rows3 = [_option(p, hints.get(p.name)) for p in options if getattr(p, "rich_help_panel", None) == panel]
        parts.append(_table([("option", "meaning", "default"), *rows3]))
    return "\n\n".join([*parts, *_epilog(command.epilog or "")])


def _argument(parameter: Any) -> str:
    name = parameter.metavar or parameter.name.upper()
    return name if parameter.required else f"[{name}]"


def _option(parameter: Any, hint: Any) -> tuple[str, str, str]:
    value = "" if parameter.is_flag else parameter.metavar or _value(hint)
    names = " / ".join([*parameter.opts, *parameter.secondary_opts])
    code = f"`{names} {value}`" if value else f"`{names}`"
    again = " May be repeated." if parameter.multiple else ""
    if "|" in code:  # GitHub and Python-Markdown unescape pipes in code differently
        code = f"<code>{code.strip('`').replace('|', '&#124;').replace('<', '&lt;')}</code>"
    return code, _plain(parameter.help or "") + again, _default(parameter)


def _value(hint: Any) -> str:
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return next(text for kind, text in VALUES.items() if kind in kinds)


def _default(parameter: Any) -> str:
    """The default in code, and nothing where leaving the option out is a choice of its own."""
    if parameter.default is None or parameter.default is False or parameter.default in ([], ()):
        return ""
    if parameter.is_flag:
        return f"`{parameter.opts[0]}`"
    return f"`{parameter.default}`"


def _epilog(text: str) -> Iterator[str]:
    """Its paragraphs; commands that stand alone become one block."""
    examples: list[str] = []
    for paragraph in [*text.split("\n\n"), ""]:
        alone = re.fullmatch(r"`([^`]+)`", paragraph.strip())
        if alone:
            examples.append(alone[1])
            continue
        if examples:
            yield "<!-- check: the examples of the help text -->\n```bash\n" + "\n".join(examples) + "\n```"
            examples = []
        if paragraph.strip():
            yield _plain(paragraph.strip())


def _first(text: str) -> str:
    return _plain(text.strip().splitlines()[0])


def _plain(text: str) -> str:
    """Text as Markdown shows it: outside of code no character of it is a mark."""
    pieces = re.split(r"(`[^`]*`)", text)
    pieces[::2] = [re.sub(r"([\\*<_])", r"\\\1", piece) for piece in pieces[::2]]
    return "".join(pieces)


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = (f"| {' | '.join(cell.replace(chr(10), ' ') for cell in row)} |" for row in rows)
    return "\n".join([head, "|---" * len(rows[0]) + "|", *body])


if __name__ == "__main__":
    FILE.write_text(page(), encoding="utf-8")
    print(f"written: {FILE}")
