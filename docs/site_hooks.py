"""Hooks of the site: files of the repository that pages link to become part of it."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
HOME = "repository"  # where files from outside docs/ lie on the site
LINK = re.compile(r"(?<=\]\()(\.\./[^)#\s]+)")


def on_files(files: Files, config: Any) -> Files:
    """Adds the files outside docs/ that its pages link to."""
    for page in list(files.documentation_pages()):
        for target in LINK.findall(page.content_string):
            uri = _inside(page.src_uri, target)
            source = ROOT / uri.removeprefix(f"{HOME}/")
            if source.is_file() and files.get_file_from_path(uri) is None:
                files.append(File.generated(config, uri, abs_src_path=str(source)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Points the links at them."""
    here = posixpath.dirname(page.file.src_uri)

    def moved(match: re.Match[str]) -> str:
        return posixpath.relpath(_inside(page.file.src_uri, match[1]), here or ".")

    return LINK.sub(moved, markdown)


def _inside(page: str, target: str) -> str:
    """Path on the site of what a page of docs/ links to outside of it."""
    return f"{HOME}/{posixpath.normpath(posixpath.join('docs', posixpath.dirname(page), target))}"
