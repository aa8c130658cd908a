"""The command line: through the installed console script where the process matters, else through `main`."""

from __future__ import annotations

import csv
import inspect
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

import symdescent as sd
from symdescent.cli.arguments import COMMANDS, parser
from symdescent.cli.main import main
from symdescent.cli.optimizers import CHOICES, optimizer, option
from symdescent.cli.tables import read_columns
from symdescent.descent.first_order import FirstOrder
from symdescent.errors import DataError
from symdescent.optimizers import first_order

CARS = Path(__file__).parents[1] / "examples" / "data" / "cars.csv"
LINE = "(distance_ft - (w*speed_mph + b))**2"


def script() -> str:
    path = Path(sys.executable).with_name("symdescent")
    assert path.exists(), "the console script is not installed: run pip install -e . again"
    return str(path)


def console(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the console script as a user does."""
    return subprocess.run(
        [script(), *arguments],
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        env={**os.environ, **environment},
    )


@pytest.fixture
def run(capsys):
    """Carry out a command line in this process: exit code, output, errors."""

    def carry_out(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        return code, *capsys.readouterr()

    return carry_out


# -- the process ------------------------------------------------------------------------------------------------------


def test_the_console_script_derives():
    # an entry point that does not exist, remarks on standard error, colours in a pipe
    done = console("derive", "exp(2*y)*sin(x)")
    assert (done.returncode, done.stderr) == (0, "")
    x, y = sp.symbols("x y", real=True)
    assert done.stdout == sd.Loss(sp.exp(2 * y) * sp.sin(x), [x, y]).derivation().text() + "\n"
    assert "\x1b" not in done.stdout and "\r" not in done.stdout


def test_python_runs_the_package():
    # __main__ that is missing, or swallows the exit code
    done = subprocess.run(
        [sys.executable, "-m", "symdescent", "derive", "x^2"], capture_output=True, encoding="utf-8", timeout=120
    )
    assert done.returncode == 2
    assert (
        done.stderr
        == "symdescent derive: error: the loss, column 2: ^ is no power here: write **, as in x**2\n  x^2\n   ^\n"
    )


def test_deriving_loads_what_it_needs():
    # an import at the top of a module that every command shares: an answer must not wait for a compiler or a descent
    program = """
import sys
from symdescent.cli.main import main
main(["derive", "exp(2*y)*sin(x)"])
heavy = ("numba", "matplotlib", "scipy", "pandas", "symdescent.descent", "symdescent.codegen", "symdescent.study")
print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", timeout=120)
    assert done.stdout.split("\n")[-2] == "[]", done.stderr


BAD_INPUT = {  # by the number of REFERENCE.md section 6: arguments, exit code, words of the output or of the error
    "1 keyword": (["derive", "(lambda - 3)**2"], 0, ["2 λ − 6"]),
    "2 code as a name": (["derive", "x*y", "--parameters", "x; import os"], 2, ["'x; import os' is no name"]),
    "3 other names": (["derive", "(exp - np)**2 + self*i0", "--result"], 0, ["dL/dself = i0"]),
    "4 micro and mu": (["derive", "(µ - 3)**2 + μ", "--result"], 0, ["dL/dμ = 2*μ - 5\n"]),
    "5 assumptions": (["check", "(y - w*x)**2", "--samples", "x", "y", "--candidate", "-2*x*(y - w*x)"], 0, ["right"]),
    "6 empty name": (["derive", "x*y", "--parameters", ""], 2, ["'' is no name: it is empty"]),
    "7 TeX": (["derive", r"\frac{1}{2}*x"], 2, ["column 1", "LaTeX is not read"]),
    "8 unused": (["derive", "x*y", "--parameters", "z"], 2, ["does not depend on the parameter z", "x, y"]),
    "17 length": (["derive", "+".join(["x"] * 50_000)], 2, ["99999 characters"]),
    "18 huge": (["derive", "x/" + "7" * 5000], 2, ["column 3", "more than 30 digits"]),
    "19 function": (["derive", "besselj(0, x)"], 2, ["column 1", "besselj is no function", "gamma"]),
    "20 no number": (["derive", "x == 3"], 2, ["column 1", "condition"]),
    "43 tower": (["derive", "9**9**9"], 2, ["column 4", "exponent 387420489"]),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_through_the_console_script(case):
    # a traceback, an error about something else, an evaluation, or no end at all
    arguments, code, words = BAD_INPUT[case]
    done = console(*arguments)
    assert done.returncode == code, done.stderr
    told = done.stdout if code == 0 else done.stderr
    for word in words:
        assert word in told
    assert "Traceback" not in done.stderr
    assert (done.stderr if code == 0 else done.stdout) == ""
    assert done.stderr.count("error:") == (code != 0)
    assert len(done.stderr) < 1000


def test_a_closed_pipe_is_no_error():
    # BrokenPipeError with a traceback, or a second one when Python ends: symdescent … | head -1
    receiver, sender = os.pipe()
    os.close(receiver)
    with os.fdopen(sender, "wb") as pipe:
        done = subprocess.run(
            [script(), "derive", "x**2"], stdout=pipe, stderr=subprocess.PIPE, encoding="utf-8", timeout=120
        )
    assert (done.returncode, done.stderr) == (141, "")


def test_output_where_the_locale_knows_ascii_only():
    # UnicodeEncodeError at the first ∂
    done = console("derive", "x**2*y", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "∂L/∂x" in done.stdout


ENDLESS = ["descend", "(w - 3)**2", "--learning-rate", "1e-9", "--steps", str(10**12), "--gtol", "0"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_ctrl_c_tells_what_was_reached():
    # a traceback, or a result that is lost
    process = subprocess.Popen(
        [script(), *ENDLESS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job may have it switched off
    )
    try:
        time.sleep(3)  # in the descent, or on the way to it: the code is the same
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "interrupted" in output + errors


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_an_interrupted_descent_is_printed(run, monkeypatch):
    # what was reached in an hour, thrown away
    advance = FirstOrder.advance

    def interrupted(self, steps, stopping):
        advance(self, steps, stopping)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(FirstOrder, "advance", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job may have it switched off
    try:
        code, output, _ = run(*ENDLESS)
    finally:
        signal.signal(signal.SIGINT, before)
    assert code == 130
    assert "interrupted after" in output and "w = " in output


# -- what all commands share ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_every_command_has_help(run, command):
    # a % in a help text, an option that is declared twice
    code, output, _ = run(*([command] if command else []), "--help")
    assert code == 0
    assert output.startswith("usage: symdescent")
    if command is None:
        assert all(name in output for name in COMMANDS)


def test_version(run):
    # a number that is written twice
    assert run("--version") == (0, f"symdescent {sd.__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["COMMAND"]),
        (["frobnicate"], ["frobnicate", "derive"]),
        (["derive"], ["EXPRESSION", "before options"]),
        (["derive", "--parameters", "w", "w**2"], ["EXPRESSION", "before options"]),
        (["derive", "w**2", "--paramters", "w"], ["--paramters"]),
        (["derive", "w**2", "--detail", "lots"], ["lots", "brief"]),
        (["derive", "w**2", "--at", "w"], ["NAME=NUMBER"]),
        (["derive", "w**2", "--at", "w=1", "w=2"], ["w twice"]),
        (["derive", "w**2", "--at", "w=q"], ["q has no value"]),
        (["derive", "w**2", "--at", "w=1^2"], ["column 2", "**"]),
        (["derive", "w**2", "--at", "v=1"], ["no v", "w"]),
        (["derive", "w*v", "--at", "v=1"], ["w=…"]),
        (["derive", "w**2", "-o", "/nonexistent/x.txt"], ["/nonexistent/x.txt", "cannot be written"]),
        (["derive", "3"], ["no free symbol"]),
        (["derive", "__import__('os').system('echo pwned')"], ["column 12", "text is not read"]),
        (["derive", "x*y", "--parameters", "a b"], ["'a b' is no name"]),
        (["derive", "x*y", "--parameters", "<b>x</b>"], ["'<b>x</b>' is no name"]),
        (["derive", "(" * 400 + "x" + ")" * 400], ["column 62", "nested"]),
        (["derive", "w**2", "--data", "w=1"], ["leave one out"]),
        (["derive", "w**2", "--data", "a.csv", "b.csv"], ["one file"]),
        (["derive", "(y - w*x)**2", "--samples", "x", "y", "--at", "w=1"], ["sample x", "--data x=1,2,3"]),
        (["check", "w*v", "--candidate", "v"], ["v, w", "which one"]),
        (["check", "w**2", "--candidate", "v=2*w"], ["candidate is for v", "w"]),
        (["check", "w**2", "--candidate", "2*w^1"], ["the candidate for w, column 4"]),
        (["descend", "(w - c)**2", "--parameters", "w"], ["constant c", "--parameters w c"]),
        (["descend", "w**2", "--start", "v=1"], ["no v", "w"]),
        (["descend", "w**2", "--start", "w=1,2"], ["one number"]),
        (["descend", "w**2", "--optimizer", "sgd"], ["'sgd'", "GradientDescent"]),
        (["descend", "w**2", "--optimizer", "momentum"], ["Momentum", "--learning-rate 0.1"]),
        (["descend", "w**2", "--optimizer", "adam", "--momentum", "0.9"], ["Adam takes no --momentum", "--beta1"]),
        (["descend", "w**2", "--momentum", "0.9"], ["GradientDescent", "takes no --momentum"]),
        (["descend", "w**2", "--learning-rate", "-1"], ["learning_rate = -1.0", "positive"]),
        (["descend", "w**2", "--learning-rate", "1/s"], ["contains s"]),
        (["descend", "w**2", "--steps", "many"], ["many"]),
        (["code", "w**2", "--target", "fortran"], ["fortran", "numpy"]),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else None,
)
def test_mistakes_are_told_in_one_message(run, arguments, words):
    # a traceback, or a message that does not name what is wrong
    code, output, errors = run(*arguments)
    assert (code, output) == (2, "")
    for word in words:
        assert word in errors
    assert errors.count("error:") == 1


def test_a_defect_is_told_as_one(run, monkeypatch):
    # a traceback that a user is left alone with, and an exit code that says it was the user's mistake
    def broken(*args, **kwargs):
        raise KeyError("inside")

    monkeypatch.setattr(sd.Loss, "derivation", broken)
    code, _, errors = run("derive", "x**2")
    assert code == 4
    assert errors.startswith("symdescent derive: error: KeyError: 'inside'; this is a defect")
    code, _, errors = run("derive", "x**2", "--traceback")
    assert code == 4 and "Traceback" in errors


def test_an_expression_may_begin_with_a_minus_sign(run):
    # argparse takes -x**2 for an option
    assert run("derive", "-x**2", "--result")[1] == "dL/dx = -2*x\n"
    assert run("check", "-x**2", "--candidate", "-2*x")[0] == 0


def test_an_expression_may_come_from_standard_input(run, monkeypatch, tmp_path):
    # "-" read as an expression
    (tmp_path / "loss.txt").write_text("(w - 3)**2\n", encoding="utf-8")
    with (tmp_path / "loss.txt").open(encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert run("derive", "-", "--result")[1] == "dL/dw = 2*w - 6\n"


# -- derive -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["text", "latex", "markdown", "html"])
@pytest.mark.parametrize("language", ["en", "es"])
def test_formats_and_languages(run, kind, language):
    # options that are read and not passed on
    w, x, y = sp.symbols("w x y", real=True)
    derivation = sd.Loss((y - w * x) ** 2, w, samples=[x, y]).derivation(detail="full", language=language)
    said = run(
        "derive", "(y - w*x)**2", "--samples", "x", "y", "--detail", "full", "--format", kind, "--language", language
    )
    assert said == (0, getattr(derivation, kind)().rstrip("\n") + "\n", "")


def test_the_suffix_of_a_file_tells_the_format(run, tmp_path):
    # text in a .tex file; a fragment in a file that is to be compiled
    derivation = sd.Loss(sp.Symbol("w", real=True) ** 2).derivation()
    for suffix, text in (
        (".tex", derivation.latex(standalone=True)),
        (".md", derivation.markdown()),
        (".html", derivation.html()),
        (".txt", derivation.text()),
        (".out", derivation.text()),
    ):
        path = tmp_path / f"sheet{suffix}"
        assert run("derive", "w**2", "-o", str(path)) == (0, "", "")
        assert path.read_text(encoding="utf-8") == text.rstrip("\n") + "\n"


def test_notation_options(run):
    # --derivative, --times and --no-rules that change nothing
    plain = run("derive", "3*w**2*v", "--format", "latex")[1]
    assert r"\nabla" in run("derive", "3*w**2*v", "--format", "latex", "--derivative", "nabla")[1]
    assert r"3 \cdot v \cdot w^2" in run("derive", "3*w**2*v", "--format", "latex", "--times", "cdot")[1]
    assert "3vw^2" in plain
    assert "rule" in plain and "rule" not in run("derive", "3*w**2*v", "--format", "latex", "--no-rules")[1]


def test_the_gradient_at_a_point(run):
    # f = exp(2y) sin x at (0, 1): the first component is e², 7.389
    code, output, _ = run("derive", "exp(2*y)*sin(x)", "--result", "--at", "x=0", "y=1")
    assert code == 0
    assert output.split("\n")[:2] == ["dL/dx = exp(2*y)*cos(x)", "dL/dy = 2*exp(2*y)*sin(x)"]
    assert "dL/dx = 7.389056099\ndL/dy = 0\n" in output
    assert "7.3890561" in run("derive", "exp(2*y)*sin(x)", "--at", "x=0", "y=1")[1]


def test_samples_and_constants_may_be_given_on_the_line(run):
    # data that reach a loss under another role; mean of (y - w x)² + lam w² by hand: (1 + 4)/2 + 0.5 = 3
    for place in ("--at", "--data"):
        rest = ["w=1"] if place == "--data" else []
        code, output, _ = run("derive", "(y - w*x)**2 + lam*w**2", "--parameters", "w", "--samples", "x", "y", "--result", "--at",
                              *(rest or ["w=1", "x=1,2", "y=2,4", "lam=1/2"]), *(["--data", "x=1,2", "y=2,4", "lam=1/2"] if rest else []))  # fmt: skip
        assert code == 0
        assert "\nL = 3\n" in output
        assert "\ndL/dw = -4\n" in output


def test_second_derivatives(run):
    # the entries of the Hessian in the wrong places
    assert run("derive", "x**2*y", "--order", "2", "--result")[1] == "d2L/dx dx = 2*y\nd2L/dx dy = 2*x\nd2L/dy dy = 0\n"


def test_kinks_and_reduction_are_passed_on(run):
    # a slope of the wrong side, a mean in the place of a sum
    assert "dL/dx = 1\n" in run("derive", "Abs(x)", "--kinks", "right", "--at", "x=0", "--result")[1]
    assert "dL/dx = -1\n" in run("derive", "Abs(x)", "--kinks", "left", "--at", "x=0", "--result")[1]
    assert "/n" not in run("derive", "(y - w*x)**2", "--samples", "x", "y", "--reduction", "sum", "--result")[1]


# -- check ------------------------------------------------------------------------------------------------------------


def test_a_wrong_gradient_is_graded(run):
    # the error of a text on gradient descent: twice the true gradient
    code, output, errors = run("check", "(y - w*x)**2", "--samples", "x", "y", "--candidate", "2*(2*w*x**2 - 2*x*y)")
    assert (code, errors) == (1, "")
    assert "candidate for w: wrong by the constant factor 2" in output
    w, x, y = sp.symbols("w x y", real=True)
    found = sd.Loss((y - w * x) ** 2, w, samples=[x, y]).check(candidate={w: 2 * (2 * w * x**2 - 2 * x * y)})
    assert output == f"{found}\n"


def test_right_gradients_and_several_of_them(run):
    # a candidate that is compared with the gradient of another parameter
    right = ["--candidate", "w=-2*x*(y - w*x - b)", "b = -2*(y - w*x - b)"]
    code, output, _ = run("check", "(y - w*x - b)**2", "--samples", "x", "y", *right)
    assert code == 0
    assert output.count(": right") == 2
    assert run("check", "(y - w*x - b)**2", "--samples", "x", "y", "--candidate", "b=-2*x*(y - w*x - b)")[0] == 1


@pytest.mark.parametrize("kind", ["latex", "markdown", "html"])
def test_a_check_in_other_formats(run, kind):
    # the verdict that is left out of the page
    code, output, _ = run("check", "w**2", "--at", "w=3", "--candidate", "3*w", "--format", kind)
    assert code == 1
    for word in ("complex step", "Taylor remainder", "wrong by the constant factor", "NOT passed"):
        assert word in output


# -- descend ----------------------------------------------------------------------------------------------------------


def test_the_worked_example(run, tmp_path):
    # (w - 3)² from 0 with step 0.1: gradient -6, then 0.6
    path = tmp_path / "history.csv"
    code, output, _ = run(
        "descend", "(w - 3)**2", "--start", "w=0", "--learning-rate", "0.1", "--table", "2", "--history", str(path)
    )
    assert code == 0
    assert "w₁ = 0 − 0.1 · (−6) = 0.6" in output
    w = sp.Symbol("w", real=True)
    result = sd.Loss((w - 3) ** 2, w).descend(0.0, optimizer=sd.GradientDescent(0.1))
    assert repr(result) in output
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["w"]) for row in rows] == result.trajectory["w"].tolist()
    assert [float(row["loss"]) for row in rows] == result.history["loss"].tolist()


def test_exit_codes_of_descents(run):
    # a divergence, or a descent that has not arrived, that a script takes for success
    assert run("descend", "(w - 3)**2", "--learning-rate", "1.5")[0] == 3
    assert run("descend", "(w - 3)**2", "--steps", "3")[0] == 3
    assert run("descend", "(w - 3)**2", "--steps", "3", "--gtol", "0")[0] == 0
    code, output, _ = run("descend", "w**4 - w**2")
    assert code == 0 and "give another --start" in output


def test_learning_rates_may_change(run):
    # a schedule that is taken at its first step, a line search that is an unknown name
    w = sp.Symbol("w", real=True)
    loss = sd.Loss((w - 3) ** 2, w)
    for text, rate in (
        ("0.3/sqrt(t)", 0.3 / sp.sqrt(sp.Symbol("t"))),
        ("1/4", 0.25),
        ("backtracking", sd.Backtracking()),
        ("exact-line-search", sd.ExactLineSearch()),
    ):
        expected = loss.descend(0.0, optimizer=sd.GradientDescent(rate), steps=4)
        assert repr(expected) in run("descend", "(w - 3)**2", "--learning-rate", text, "--steps", "4")[1]


def test_batches_and_seeds(run):
    # options of sampling that are not passed on
    w, b, x, y = sp.symbols("w b x y", real=True)
    data = {"x": [0.0, 1.0, 2.0, 3.0], "y": [1.0, 3.0, 4.0, 8.0]}
    options = {"batch_size": 2, "epochs": 3, "seed": 5}
    expected = sd.Loss((y - (w * x + b)) ** 2, [w, b], samples=[x, y]).descend(
        {"w": 0.0, "b": 0.0}, data, sd.GradientDescent(0.05), **options
    )
    given = [
        "--data",
        "x=0,1,2,3",
        "y=1,3,4,8",
        "--learning-rate",
        "0.05",
        "--batch-size",
        "2",
        "--epochs",
        "3",
        "--seed",
        "5",
    ]
    code, output, _ = run("descend", "(y - (w*x + b))**2", "--parameters", "w", "b", *given)
    assert code == 0
    assert repr(expected) in output


@pytest.mark.parametrize("name", CHOICES)
def test_every_optimizer_has_all_of_its_options(name):
    # an option that another optimizer shadows, a default that is typed again and differs
    choice = CHOICES[name]
    required = ["--learning-rate", "0.1"] if choice.hyperparameters.get("learning_rate") is not None else []
    direct = choice.make(0.1) if required else choice.make()
    for spelling in (name, name.lower(), name.upper()):
        read = parser("descend").parse_args(["descend", "w**2", "--optimizer", spelling, *required])
        assert optimizer(read) == direct
    for each in choice.hyperparameters.values():
        if each.name in ("learning_rate", "seed"):
            continue
        default = each.default
        if isinstance(default, bool):
            value, given = not default, [option(each.name, not default)]
        elif isinstance(default, str):
            value, given = "optax", [option(each.name), "optax"]
        else:
            known = default if default is not None else first_order.DEFAULTS[name][0][each.name]
            value = known + 1 if isinstance(known, int) else (known / 2 or 0.25)
            given = [option(each.name), repr(value)]
        read = parser("descend").parse_args(["descend", "w**2", "--optimizer", name, *required, *given])
        expected = choice.make(**({"learning_rate": 0.1} if required else {}), **{each.name: value})
        assert optimizer(read) == expected, each.name
        assert expected != direct or each.name == "flavor"


def test_all_optimizers_can_be_chosen():
    # a new record of a rule that the command line does not know
    public = {
        name for name in sd.__all__ if getattr(getattr(sd, name), "__module__", "").startswith("symdescent.optimizers")
    }
    public -= {"UpdateRule", "State", "Hyperparameter", "Backtracking", "ExactLineSearch"}
    assert set(CHOICES) == public
    assert all(inspect.signature(choice.make) for choice in CHOICES.values())


# -- data -------------------------------------------------------------------------------------------------------------


def written(path: Path, text: str, encoding: str = "utf-8") -> str:
    path.write_bytes(text.encode(encoding))
    return str(path)


@pytest.mark.parametrize(
    "text",
    [
        "x,y\n1,2\n2,4.5\n3,5\n",
        "x;y\r\n1;2\r\n2;4.5\r\n3;5\r\n",
        "\ufeffy\tlabel\tx\n2\ta\t1\n4.5\tb\t2\n5\tc\t3\n",
        '\n"x" , "y"\n1, 2\n\n2, 4.5\n3, "5"\n',
    ],
    ids=["plain", "semicolons", "tabs, a mark, more columns", "blank lines, quotation marks"],
)
def test_csv_files_as_people_have_them(run, tmp_path, text):
    # separators, byte order marks and columns of text that stop a fit
    code, output, _ = run("fit", written(tmp_path / "data.csv", text), "--loss", "(y - (w*x + b))**2")
    assert code == 0
    slope, intercept = np.polyfit([1, 2, 3], [2, 4.5, 5], 1)
    assert f"w = {slope:.10g}" in output and f"b = {intercept:.9g}" in output and "3 rows" in output


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["is empty"]),
        ("\n\n", ["is empty"]),
        ("x,y\n", ["no rows"]),
        ("1,2\n3,4\n", ["numbers in its first line"]),
        ("x,y\n1,2\n2,\n", ["line 3", "'y'", "empty", "--drop-missing"]),
        ("\nx,y\n1,2\n2,nan\n", ["line 4", "'y'", "nan", "--drop-missing"]),
        ("x,y\n1,2\n2,abc\n", ["line 3", "'y'", "'abc' is no number"]),
        ("x;y\n1;2\n2;3,5\n", ["line 3", "'y'", "'3,5'", "decimal point"]),
        ("x,y\n1,2\n2,inf\n", ["line 3", "'y'", "infinite"]),
        ("x,y\n1,2\n2\n", ["line 3", "'y'", "fewer cells (1)"]),
        ("x,y,y\n1,2,3\n", ["2 columns", "named y"]),
        ("u,v\n1,2\n", ["uses no column", "b, w, x, y", "u, v"]),
        ("x,z\n1,2\n", None),
    ],
    ids=[
        "nothing",
        "blank",
        "no rows",
        "no names",
        "empty",
        "nan",
        "text",
        "comma",
        "infinite",
        "short",
        "twice",
        "other",
        "missing",
    ],
)
def test_csv_files_that_cannot_be_used(run, tmp_path, text, words):
    # an error without a line and a column; a fit of what was misread
    path = written(tmp_path / "data.csv", text)
    if words is None:  # without the column y, it is a parameter; not where the parameters are named
        code, _, errors = run("fit", path, "--loss", "(y - (w*x + b))**2", "--parameters", "w", "b")
        assert code == 2 and "y has no value" in errors
        return
    code, output, errors = run("fit", path, "--loss", "(y - (w*x + b))**2")
    assert (code, output) == (2, "")
    for word in words:
        assert word in errors


def test_files_that_cannot_be_read(run, tmp_path):
    # OSError and UnicodeDecodeError
    assert "cannot be read" in run("fit", str(tmp_path / "none.csv"), "--loss", "(y - w)**2")[2]
    assert "cannot be read" in run("fit", str(tmp_path), "--loss", "(y - w)**2")[2]
    assert (
        "UTF-8" in run("fit", written(tmp_path / "latin.csv", "größe,y\n1,2\n", "latin-1"), "--loss", "(y - w)**2")[2]
    )


def test_rows_with_missing_cells_are_left_out_where_that_is_asked_for(tmp_path):
    # a column that the loss does not use decides which rows are read
    path = written(tmp_path / "data.csv", "x,remark,y\n1,,2\n2,,NA\n,a,4\n3,,6\n")
    found = read_columns(path, lambda known: ["x", "y"], drop_missing=True)
    assert (found.rows, found.left_out) == (2, 2)
    assert found.values["x"].tolist() == [1, 3] and found.values["y"].tolist() == [2, 6]
    with pytest.raises(DataError, match="no rows besides 1"):
        read_columns(written(tmp_path / "none.csv", "x,y\n1,\n"), lambda known: ["x", "y"], drop_missing=True)


def test_names_of_columns_that_are_no_names(run, tmp_path):
    # "petal length (cm)" cannot be written in an expression; a column E is no constant; µ and μ are one
    path = written(tmp_path / "data.csv", "petal length (cm),E,\u00b5\n1,2,3\n2,5,6\n")
    output = run("fit", path, "--loss", "(E - w*petal_length_cm)**2")[1]
    assert "samples petal_length_cm, E" in output and "w = 2.4" in output
    assert "w = 4.5" in run("fit", path, "--loss", "(\u03bc - w)**2")[1]


def test_files_serve_other_commands_too(run, tmp_path):
    # --data that only fit can read
    path = written(tmp_path / "data.csv", "x,y\n1,2\n2,4\n")
    assert "\nL = 2.5\ndL/dw = -5\n" in run("derive", "(y - w*x)**2", "--data", path, "--at", "w=1", "--result")[1]
    assert run("check", "(y - w*x)**2", "--data", path, "--candidate", "-2*x*(y - w*x)")[0] == 0
    w, x, y = sp.symbols("w x y", real=True)
    expected = sd.Loss((y - w * x) ** 2, w, samples=[x, y]).descend(0.0, {"x": [1.0, 2.0], "y": [2.0, 4.0]})
    assert repr(expected) in run("descend", "(y - w*x)**2", "--data", path)[1]


# -- fit --------------------------------------------------------------------------------------------------------------


def columns(path: Path, **values: np.ndarray) -> str:
    lines = [",".join(values), *(",".join(map(repr, map(float, row))) for row in zip(*values.values(), strict=True))]
    return written(path, "\n".join(lines) + "\n")


def fitted(output: str) -> dict[str, float]:
    """The values that a fit printed."""
    pairs = [line.split(" = ") for line in output.split("\n") if line.startswith("  ") and " = " in line]
    return {name.strip(): float(value) for name, value in pairs}


def test_a_line_through_stopping_distances(run):
    # the answer of the closed form
    code, output, errors = run("fit", str(CARS), "--loss", LINE, "--parameters", "w", "b")
    assert (code, errors) == (0, "")
    speed, distance = np.loadtxt(CARS, delimiter=",", skiprows=1, unpack=True)
    slope, intercept = np.polyfit(speed, distance, 1)
    assert fitted(output) == {"w": pytest.approx(slope, rel=1e-9), "b": pytest.approx(intercept, rel=1e-9)}
    assert "50 rows; samples speed_mph, distance_ft" in output
    assert f"loss {np.mean((distance - slope * speed - intercept) ** 2):.8g}" in output
    assert "converged: Newton, 1 iteration\n" in output


x = np.linspace(0.0, 4.0, 40)


def test_a_curve_with_many_local_minima(run, tmp_path):
    # the first local minimum from 0, where the gradient of a sine's frequency vanishes
    path = columns(tmp_path / "sine.csv", t=x, y=2 * np.sin(1.7 * x + 0.3))
    code, output, _ = run("fit", path, "--loss", "(y - a*sin(omega*t + phi))**2")
    assert code == 0
    found = fitted(output)
    np.testing.assert_allclose(
        found["a"] * np.sin(found["omega"] * x + found["phi"]), 2 * np.sin(1.7 * x + 0.3), atol=1e-8
    )


def test_least_absolute_deviations(run, tmp_path):
    # Newton's method stops at a kink that is no minimum; outliers must not move the line
    y = 2 * x + 1
    y[[3, 17, 30]] += 50.0
    code, output, _ = run("fit", columns(tmp_path / "l1.csv", x=x, y=y), "--loss", "Abs(y - (w*x + b))")
    assert code == 0
    assert fitted(output) == {"w": pytest.approx(2, abs=1e-6), "b": pytest.approx(1, abs=1e-6)}


def test_numbers_of_very_different_size(run, tmp_path):
    # a gradient of 1e15 that never gets below an absolute tolerance
    year, people = 1950 + 10 * x, 2.5e9 + 7e8 * x + 1e6 * np.cos(9 * x)
    path = columns(tmp_path / "big.csv", year=year, people=people)
    code, output, _ = run("fit", path, "--loss", "(people - (a + b*(year - 1970)))**2")
    slope, intercept = np.polyfit(year - 1970, people, 1)
    assert code == 0
    assert fitted(output) == {"a": pytest.approx(intercept, rel=1e-9), "b": pytest.approx(slope, rel=1e-7)}


def test_what_is_no_unique_minimum_is_said_to_be_none(run, tmp_path):
    # values that are one of many, or on their way to infinity, handed out as the answer
    path = columns(tmp_path / "line.csv", x=x, y=2 * x + 1, side=np.where(x > 2, 1.0, -1.0))
    assert "flat here" in run("fit", path, "--loss", "(y - (w*x + b + c))**2")[1]
    assert "lie at infinity" in run("fit", path, "--loss", "log(1 + exp(-side*(w*(x - 2.02))))")[1]


def test_an_optimizer_may_be_chosen(run, tmp_path):
    # --optimizer that is read and not used; an exit code that hides that it did not arrive
    path = columns(tmp_path / "line.csv", x=x, y=2 * x + 1)
    code, output, _ = run(
        "fit", path, "--loss", "(y - (w*x + b))**2", "--optimizer", "adam", "--learning-rate", "0.05", "--steps", "40"
    )
    assert code == 3
    assert "NOT converged: Adam, 40 iterations" in output
    code, output, _ = run(
        "fit", path, "--loss", "(y - (w*x + b))**2", "--batch-size", "8", "--learning-rate", "0.05", "--epochs", "20"
    )
    assert code == 0 and "done: gradient descent, 100 iterations" in output


def test_a_fit_in_other_formats(run, tmp_path):
    # parameters that the page does not show
    path = columns(tmp_path / "line.csv", x=x, y=2 * x + 1)
    output = run("fit", path, "--loss", "(y - (w*x + b))**2", "--format", "markdown")[1]
    assert "| $w$ | $2$ |" in output and "| $b$ | $1$ |" in output and "converged" in output
    run("fit", path, "--loss", "(y - (w*x + b))**2", "-o", str(tmp_path / "fit.html"))
    assert "<math" in (tmp_path / "fit.html").read_text(encoding="utf-8")


# -- code, plot, explore ----------------------------------------------------------------------------------------------


def test_code_is_that_of_the_library(run, tmp_path):
    # another optimizer's program
    w, x, y = sp.symbols("w x y", real=True)
    loss = sd.Loss((y - w * x) ** 2, w, samples=[x, y])
    for target in ("python", "c"):
        output = run(
            "code", "(y - w*x)**2", "--samples", "x", "y", "--target", target, "--optimizer", "adam", "--beta1", "0.8"
        )[1]
        assert output == loss.code(target, sd.Adam(beta1=0.8))
    assert run("code", "(y - w*x)**2", "--samples", "x", "y", "-o", str(tmp_path / "loss.py"))[0] == 0
    assert (tmp_path / "loss.py").read_text(encoding="utf-8") == loss.code("numba")


def test_pictures_are_written(run, tmp_path, monkeypatch):
    # the picture of the loss where a descent was asked for; an error of the format without its reason
    from matplotlib.figure import Figure

    drawn = []

    def plot(self, at=None, data=None, kind=None, ax=None):
        drawn.append((self, at, data, kind))
        return Figure().add_subplot()

    def plot_descent(self, kind=None, ax=None):
        return plot(self, kind=kind)

    monkeypatch.setattr(sd.Loss, "plot", plot, raising=False)
    monkeypatch.setattr(sd.Descent, "plot", plot_descent, raising=False)
    for suffix, begin in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")):
        path = tmp_path / f"picture{suffix}"
        assert run("plot", "(w - 3)**2", "-o", str(path)) == (0, "", "")
        assert path.read_bytes().startswith(begin)
        assert isinstance(drawn[-1][0], sd.Loss)
    run("plot", "(w - 3)**2", "--at", "w=2", "--kind", "curve", "-o", str(path))
    assert drawn[-1][1:] == ({"w": 2.0}, None, "curve")
    run("plot", "(w - 3)**2", "--start", "w=1", "--learning-rate", "0.1", "--kind", "cost", "-o", str(path))
    assert drawn[-1][0].trajectory["w"][0] == 1.0 and drawn[-1][3] == "cost"
    run("plot", "(y - (w*x + b))**2", "--data", "x=1,2,3", "y=2,4,6", "-o", str(path))
    assert drawn[-1][0].params["w"] == pytest.approx(2.0)  # the fit
    code, _, errors = run("plot", "(w - 3)**2", "-o", str(tmp_path / "picture.bmq"))
    assert code == 2 and "picture.bmq cannot be written" in errors and "png" in errors


def test_films_are_written(run, tmp_path, monkeypatch):
    # a still picture in a .gif
    class Film:
        def save(self, path, dpi=110):
            Path(path).write_text(f"film {dpi}", encoding="utf-8")

    monkeypatch.setattr(sd.Descent, "animate", lambda self, kind=None, ax=None: Film(), raising=False)
    for suffix in (".gif", ".html"):
        path = tmp_path / f"film{suffix}"
        assert run("plot", "(w - 3)**2", "--dpi", "70", "-o", str(path)) == (0, "", "")
        assert path.read_text(encoding="utf-8") == "film 70"


def test_the_page_to_explore_is_written(run, tmp_path, monkeypatch):
    # start and data that do not reach the page
    seen = []

    def explore_html(self, path, start=None, data=None, language="en"):
        seen.append((self, start, data))
        Path(path).write_text("<html>", encoding="utf-8")

    monkeypatch.setattr(sd.Loss, "explore_html", explore_html, raising=False)
    path = tmp_path / "page.html"
    assert run("explore", "(y - w*x)**2", "--data", "x=1,2", "y=2,4", "--start", "w=0.5", "-o", str(path)) == (
        0,
        "",
        "",
    )
    assert path.exists()
    loss, start, data = seen[0]
    assert [str(p) for p in loss.parameters] == ["w"] and start == {"w": 0.5}
    assert {name: list(values) for name, values in data.items()} == {"x": [1, 2], "y": [2, 4]}
    assert run("explore", "(y - w*x)**2", "--samples", "x", "y", "-o", str(path))[0] == 2
