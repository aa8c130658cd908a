"""`main`: from the command line to an exit code."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress

from symdescent.cli.arguments import COMMANDS, command_of, parser
from symdescent.cli.exits import BROKEN_PIPE, DEFECT, INTERRUPTED, UNUSABLE
from symdescent.errors import SymdescentError, VerificationError


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line, and return its exit code; errors are told on standard error.

    >>> main(["derive", "(w - 3)**2", "--result"])
    dL/dw = 2*w - 6
    0
    """
    given = [_protected(argument) for argument in (sys.argv[1:] if arguments is None else arguments)]
    _speak_utf8()
    try:
        code = _run(given)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader has seen enough: | head
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        return BROKEN_PIPE
    except KeyboardInterrupt:
        print("symdescent: interrupted", file=sys.stderr)
        return INTERRUPTED


def _run(given: Sequence[str]) -> int:
    command = command_of(given)
    try:
        read = parser(command).parse_args(given)
    except SystemExit as ended:  # help, version, errors
        return int(ended.code or 0)
    assert command is not None
    try:
        if getattr(read, "expression", None) is not None and read.expression.strip() == "-":
            read.expression = sys.stdin.read().strip()
        return COMMANDS[command].run(read)
    except (KeyboardInterrupt, BrokenPipeError):
        raise
    except SymdescentError as error:
        return _told(read, error, DEFECT if isinstance(error, VerificationError) else UNUSABLE, str(error))
    except Exception as error:
        said = f"{type(error).__name__}: {error}; this is a defect in symdescent, please report it"
        return _told(read, error, DEFECT, said + ("" if read.traceback else " (--traceback shows where it arose)"))


def _told(read: argparse.Namespace, error: Exception, code: int, said: str) -> int:
    if read.traceback:
        traceback.print_exception(error)
    print(f"symdescent {read.command}: error: {said}", file=sys.stderr)
    return code


def _protected(argument: str) -> str:
    """An expression that begins with a minus sign, kept from being read as an option by a space before it."""
    is_option = argument.startswith("--") or argument in ("-", "-o", "-h")
    return f" {argument}" if argument.startswith("-") and not is_option else argument


def _speak_utf8() -> None:
    """Formulas are Unicode: UTF-8 in pipes and files; a mark for what another terminal cannot show."""
    for stream in (sys.stdout, sys.stderr):
        encoding = (getattr(stream, "encoding", None) or "utf-8").lower().replace("-", "")
        if encoding != "utf8" and hasattr(stream, "reconfigure"):
            whole = encoding in ("ascii", "usascii", "ansi_x3.41968") or not stream.isatty()
            stream.reconfigure(**({"encoding": "utf-8"} if whole else {"errors": "replace"}))
