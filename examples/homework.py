"""A homework sheet solved: eight problems with their derivations, as homework.tex, homework.md and homework.html.

``python examples/homework.py [folder]`` writes into the current folder or the one named. The last problem grades a
gradient that somebody derived by hand, and says what is wrong with it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import sympy as sp

import symdescent as sd


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    sheet = sd.Document("Gradients: eight problems", [part for problem in PROBLEMS for part in problem()])
    for suffix in (".tex", ".md", ".html"):
        print(sheet.save(folder / f"homework{suffix}"))


def partial_derivatives():
    x, y = sp.symbols("x y")
    loss = sd.Loss(sp.exp(2 * y) * sp.sin(x), [x, y])
    slope = loss.gradient[x].subs({x: 0, y: 1})
    yield "# Problem 1: partial derivatives"
    yield ("Find the gradient of ", loss.expression, ", and the partial derivative by ", x, " at the point (0, 1).")
    yield loss.derivation()
    yield ("At (0, 1) the first is ", sp.Eq(slope, slope.evalf(4), evaluate=False), ".")


def first_steps():
    w = sp.Symbol("w")
    loss = sd.Loss((w - 3) ** 2, w)
    yield "# Problem 2: the first steps of gradient descent"
    yield ("Derive the gradient of ", loss.expression, " and take five steps of size 0.1 from ", sp.Eq(w, 0), ".")
    yield loss.derivation(detail="full")
    yield loss.descend(0.0, optimizer=sd.GradientDescent(0.1), steps=5).table(first=5)


def line():
    w, b, x, y = sp.symbols("w b x y")
    loss = sd.Loss((y - (w * x + b)) ** 2, [w, b], samples=[x, y])
    yield "# Problem 3: a line through data"
    yield ("The loss of one sample is ", loss.expression, ". Derive the gradient of its mean over all samples.")
    yield loss.derivation()


def logistic():
    w, b, x, y = sp.symbols("w b x y")
    loss = sd.Loss(sp.log(1 + sp.exp(-y * (w * x + b))), [w, b], samples=[x, y])
    yield "# Problem 4: logistic regression"
    yield "Derive the gradient of the mean logistic loss, for labels -1 and 1."
    yield loss.derivation()


def hinge():
    w, x, y = sp.symbols("w x y")
    loss = sd.Loss(sp.Max(0, 1 - y * w * x), w, samples=[x, y])
    yield "# Problem 5: the hinge loss"
    yield "Derive a subgradient of the mean hinge loss. What is taken where the slope jumps?"
    yield loss.derivation()


def ridge():
    n, d = sp.symbols("n d", integer=True, positive=True)
    lam = sp.Symbol("lambda", positive=True)
    X, w, y = sp.MatrixSymbol("X", n, d), sp.MatrixSymbol("w", d, 1), sp.MatrixSymbol("y", n, 1)
    loss = sd.Loss((X * w - y).T * (X * w - y) / n + lam * w.T * w, w)
    yield "# Problem 6: ridge regression, with matrices"
    yield "Derive the gradient by differentials."
    yield loss.derivation()


def minimum():
    x, y = sp.symbols("x y", real=True)
    loss = sd.Loss(4 + (x - 2) ** 2 + 2 * y**2, [x, y])
    yield "# Problem 7: minima and saddle points"
    yield ("Find and classify the critical points of ", loss.expression, ".")
    yield loss.critical_points()


def graded():
    w, x, y = sp.symbols("w x y")
    loss = sd.Loss((y - w * x) ** 2, w, samples=[x, y])
    answer = 2 * (2 * w * x**2 - 2 * x * y)
    mark = loss.check(candidate=answer).grades["w"]
    yield "# Problem 8: a gradient to be graded"
    yield ("For the mean of ", loss.expression, ", somebody gives as the gradient the mean of ", answer, ".")
    yield f"This is {mark.message}."
    yield "The derivation shows where the factor comes from:"
    yield loss.derivation(detail="full")


PROBLEMS = (partial_derivatives, first_steps, line, logistic, hinge, ridge, minimum, graded)

if __name__ == "__main__":
    main()
