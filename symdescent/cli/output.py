"""Writing an answer: as text, LaTeX, Markdown or HTML, to a file or to standard output."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from symdescent.derivation.document import Document
from symdescent.derivation.page import SUFFIXES, Rendered
from symdescent.errors import DataError


def format_of(arguments: argparse.Namespace) -> str:
    """The format that is asked for, or told by the suffix of the file; text for all others."""
    suffix = Path(arguments.output or "").suffix.lower()
    return str(arguments.format or SUFFIXES.get(suffix, "text"))


def rendered(answer: Rendered, kind: str, file: bool, options: Mapping[str, Any]) -> str:
    """An answer in a format; LaTeX in a file is a document that compiles as it is."""
    more = {"standalone": True} if kind == "latex" and file else {}
    return str(getattr(answer, kind)(**more, **options))


def deliver(
    arguments: argparse.Namespace, title: str, parts: Sequence[Any], text: str | None = None, **options: Any
) -> None:
    """Write the parts of an answer; `text` is how they are said in a terminal, where that is not how they are laid out.

    `options` are those of `Rendered`.
    """
    kind = format_of(arguments)
    if kind == "text" and text is not None:
        write(arguments, text)
        return
    document = parts[0] if len(parts) == 1 and isinstance(parts[0], Rendered) else None
    answer = document or Document(title, parts, getattr(arguments, "language", "en"))
    write(arguments, rendered(answer, kind, arguments.output is not None, options))


def write(arguments: argparse.Namespace, text: str) -> None:
    """Write a text to the file of ``--output``, or to standard output."""
    text = text.rstrip("\n") + "\n"
    if arguments.output is None:
        sys.stdout.write(text)
        return
    try:
        Path(arguments.output).write_text(text, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise unwritable(arguments.output, error) from None


def unwritable(path: str, error: Exception) -> DataError:
    """The error for a file that cannot be written."""
    return DataError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}")
