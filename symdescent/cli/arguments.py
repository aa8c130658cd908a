"""The arguments of every command, for argparse; those of the command that is used, so that help comes at once."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NoReturn

DESCRIPTION = """\
State a loss, and derive, check, descend, draw or export it.

A loss is written as in Python: names, numbers, + - * / **, functions, conditions (a if x > 0 else b).
Every name is a symbol (lambda, beta and S as well), except pi and E where they are not declared as
parameters, samples or data; gamma(x) is the function, gamma the symbol. Nothing of it is evaluated as Python."""

EPILOG = """\
functions  exp log sqrt sin cos tan asin … sinh … atanh atan2 erf gamma beta factorial Abs sign Heaviside floor
           ceiling Mod Max Min Piecewise sigmoid softplus relu logsumexp softmax xlogx

exit code  0  done, right, converged
           1  check: the gradient or the candidate is wrong
           2  the arguments, the expression or the data cannot be used
           3  descend, fit: stopped before it converged
           4  a defect in symdescent: please report it
           130  interrupted

examples   symdescent derive "exp(2*y)*sin(x)" --at x=0 y=1
           symdescent check "(y - w*x)**2" --samples x y --candidate "2*(2*w*x**2 - 2*x*y)"
           symdescent descend "(w - 3)**2" --start w=0 --learning-rate 0.1 --table 5
           symdescent fit data.csv --loss "(y - (w*x + b))**2" --parameters w b
           symdescent code "(y - w*x)**2" --samples x y --target c --optimizer adam"""

STARTS = 8
FIT_EPILOG = """\
Names of the loss that are columns of the file are samples; the others are parameters, or those of --parameters.
Without --optimizer, Newton's method is used from several starts; where it does not settle (at kinks), Nelder-Mead
or L-BFGS. A column "petal length" is written petal_length."""


class Parser(argparse.ArgumentParser):
    """Errors in one message, and never an abbreviated option."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        if "required: EXPRESSION" in message:
            message += " (it stands before options that take several names, such as --parameters w b)"
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")


def parser(command: str | None) -> Parser:
    """The parser, with the arguments of one command."""
    main = Parser(prog="symdescent", description=DESCRIPTION, epilog=EPILOG)
    main.add_argument("--version", action="version", version=f"symdescent {import_module('symdescent').__version__}")
    commands = main.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, each in COMMANDS.items():
        made = commands.add_parser(name, help=each.said, description=f"{each.said[0].upper()}{each.said[1:]}.")
        if name == command:
            each.define(made)
            made.add_argument("--traceback", action="store_true", help="show where an error arose, for reports")
    return main


def command_of(arguments: Sequence[str]) -> str | None:
    """The command among the arguments."""
    return next((argument for argument in arguments if not argument.startswith("-")), None)


def _loss(made: Any) -> None:
    made.add_argument("expression", metavar="EXPRESSION", help='the loss, as in "(y - w*x)**2"; - reads standard input')
    _roles(made)


def _roles(made: Any) -> None:
    from symdescent.differentiate import KINKS

    group = made.add_argument_group("the statement")
    several = {"nargs": "+", "metavar": "NAME"}
    group.add_argument("--parameters", **several, help="what to differentiate by; all names that have no values")
    group.add_argument("--samples", **several, help="names that take a new value for each sample: the loss is the mean")
    group.add_argument("--reduction", choices=("mean", "sum"), default="mean", help="over the samples (mean)")
    group.add_argument(
        "--kinks", choices=KINKS, default=KINKS[0], help=f"the slope where a derivative jumps ({KINKS[0]})"
    )
    data = "a CSV file, whose columns are samples where the loss uses them; x=1,2,3 for samples, lam=0.1 for constants"
    group.add_argument("--data", nargs="+", metavar="DATA", help=data)
    group.add_argument("--drop-missing", action="store_true", help="leave out rows of the file with empty or NaN cells")


def _at(made: Any) -> None:
    made.add_argument("--at", nargs="+", metavar="NAME=NUMBER", help="a point: x=0 y=pi/2")


def _start(made: Any) -> None:
    made.add_argument("--start", nargs="+", metavar="NAME=NUMBER", help="where to begin (0 for each parameter)")


def _output(made: Any, formats: bool = True) -> None:
    group = made.add_argument_group("the output")
    if formats:
        from symdescent.derivation.page import SUFFIXES

        told = f"told by the suffix of --output ({', '.join(SUFFIXES)}), else text"
        group.add_argument("--format", choices=sorted(SUFFIXES.values()), help=told)
        _language(group)
    group.add_argument("-o", "--output", metavar="FILE", help="write there; LaTeX as a document that compiles")


def _language(made: Any) -> None:
    from symdescent.derivation.wording import LANGUAGES

    made.add_argument("--language", choices=tuple(LANGUAGES), default="en", help="of rules and phrases (en)")


def _optimizer(made: Any) -> None:
    from symdescent.cli import optimizers
    from symdescent.optimizers import SEARCHES

    rates = ", ".join(SEARCHES)
    said = f"A learning rate may be an expression in the number t of the step (0.1/sqrt(t)), or {rates}."
    group = made.add_argument_group("the optimizer", f"{optimizers.summary()}\n\n{said}")
    group.add_argument(
        "--optimizer", metavar="NAME", help="in whatever case: adam, nelder-mead; without, GradientDescent(0.1)"
    )
    optimizers.add_arguments(group)


_STOPPING = (
    ("--steps", int, "at most so many steps"),
    ("--epochs", int, "at most so many passes over the samples"),
    ("--batch-size", int, "how many samples a step reads; all"),
    ("--validation", float, "hold out this share of the samples"),
    ("--patience", int, "stop when the validation loss was not lower for so many epochs"),
    ("--seed", int, "of all random choices (0)"),
    ("--gtol", float, "stop when the largest gradient component is this small"),
    ("--xtol", float, "stop when a step changes the parameters by this little"),
    ("--ftol", float, "stop when a step changes the loss by this little"),
)


def _descent(made: Any) -> None:
    _start(made)
    _optimizer(made)
    group = made.add_argument_group("the descent")
    for name, kind, said in _STOPPING:
        group.add_argument(name, type=kind, metavar="N" if kind is int else "NUMBER", help=said)
    said = "read batches in the order of the data"
    group.add_argument("--no-shuffle", dest="shuffle", action="store_false", default=None, help=said)


def _history(made: Any) -> None:
    made.add_argument("--history", metavar="FILE", help="write iteration, loss and parameters to a CSV file")


def _derive(made: Any) -> None:
    from symdescent.derivation.derive import DETAILS

    _loss(made)
    _at(made)
    made.add_argument("--detail", choices=DETAILS, default="normal", help="how many steps (normal)")
    made.add_argument("--order", type=int, choices=(1, 2), default=1, help="2 derives the entries of the Hessian")
    made.add_argument("--result", action="store_true", help="the gradient alone, in text as Python writes it")
    _output(made)
    made.add_argument("--derivative", choices=("partial", "nabla"), help="how the left-hand sides are written")
    made.add_argument("--times", choices=("cdot", "times"), help="a sign between factors")
    made.add_argument("--no-rules", dest="rules", action="store_false", default=None, help="without the rules' names")


def _check(made: Any) -> None:
    _loss(made)
    _at(made)
    graded = "a gradient derived by hand, to be graded: the bare expression for a single parameter"
    made.add_argument("--candidate", nargs="+", metavar="NAME=EXPRESSION", help=graded)
    made.add_argument("--seed", type=int, default=0, metavar="N", help="of the point and data that are drawn (0)")
    _output(made)


def _descend(made: Any) -> None:
    _loss(made)
    _descent(made)
    made.add_argument("--table", type=int, metavar="N", help="work out the first N steps with their numbers")
    _history(made)
    _output(made)


def _fit(made: Any) -> None:
    made.epilog = FIT_EPILOG
    file = "the data, columns named in the first line; - reads standard input"
    made.add_argument("file", metavar="FILE.csv", help=file)
    example = 'as in "(y - (w*x + b))**2"'
    made.add_argument("--loss", dest="expression", required=True, metavar="EXPRESSION", help=example)
    _roles(made)
    _descent(made)
    starts = f"from how many points, where no --start is given ({STARTS})"
    made.add_argument("--starts", type=int, default=STARTS, metavar="N", help=starts)
    _history(made)
    _output(made)


def _code(made: Any) -> None:
    from symdescent.export.code import TARGETS

    _loss(made)
    made.add_argument("--target", choices=TARGETS, default="numba", help="the language (numba)")
    _optimizer(made)
    _output(made, formats=False)


def _plot(made: Any) -> None:
    _loss(made)
    _at(made)
    _descent(made)
    kinds = "curve, contours, surface, slice, fit, cost or simplices; else what suits"
    made.add_argument("--kind", metavar="KIND", help=kinds)
    made.add_argument("--dpi", type=int, default=150, metavar="N", help="dots per inch (150)")
    made.set_defaults(starts=STARTS)
    _output(made, formats=False)


def _explore(made: Any) -> None:
    _loss(made)
    _start(made)
    _output(made, formats=False)
    _language(made)


@dataclass(frozen=True, slots=True)
class Command:
    """A command: what it does, its arguments, and the module that holds the function of its name."""

    said: str
    define: Callable[[Any], None]
    module: str

    def run(self, arguments: argparse.Namespace) -> int:
        """Carry it out; its module is loaded now, so that `derive` need not wait for what `descend` needs."""
        return int(getattr(import_module(f"symdescent.cli.{self.module}"), arguments.command)(arguments))


COMMANDS = {
    "derive": Command("derive the gradient step by step", _derive, "deriving"),
    "check": Command(
        "compare the gradient with differences and dual numbers, grade one derived by hand", _check, "checking"
    ),
    "descend": Command("minimise the loss from a start", _descend, "descending"),
    "fit": Command("fit the parameters of a loss to the columns of a CSV file", _fit, "fitting"),
    "code": Command("write a standalone program for loss, gradient and descent", _code, "exporting"),
    "plot": Command(
        "draw the loss, a descent on it or a fit: a .png, .svg or .pdf picture, a .gif or .html film",
        _plot,
        "exporting",
    ),
    "explore": Command("write a page on which start, learning rate and optimizer can be tried", _explore, "exporting"),
}
