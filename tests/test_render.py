"""Formulas and pages in LaTeX, text, Markdown and HTML: exact strings, brackets that mean what they should, escapes.

`pdflatex` is used where it is installed, KaTeX where `katex.py` finds it.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import sympy as sp
from helpers.katex import assert_katex_accepts
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from symdescent.derivation.layout import formula_box
from symdescent.derivation.layout.breaking import broken
from symdescent.derivation.layout.sizes import width
from symdescent.derivation.page import Block, Chain, Heading, Line, Notation, Paragraph, Table
from symdescent.derivation.render import html, latex, markdown, text
from symdescent.derivation.symbols import LOSS, Change, GradientOf
from symdescent.elementary import TABLE, logsumexp, relu, sigmoid, softmax, softplus
from symdescent.elementary.functions import RowLogSumExp, RowSoftmax

w, x, y, b, z, u, p, lam = sp.symbols("w x y b z u p lam")
n, d = sp.symbols("n d", integer=True, positive=True)
i, j, k = sp.symbols("i j k", integer=True)
X, Y = sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("y", shape=(n,))
W, XS = sp.IndexedBase("w", shape=(d,)), sp.IndexedBase("x", shape=(n,))
A, V, T = sp.MatrixSymbol("X", n, d), sp.MatrixSymbol("w", d, 1), sp.MatrixSymbol("y", n, 1)
M, B1 = sp.MatrixSymbol("W", d, d), sp.MatrixSymbol("b1", n, 1)
RESIDUAL = Y[i] - w * XS[i] - b
PLAIN = Notation()


def raw(kind: Any, *args: Any) -> Any:
    """An expression that is shown as it stands."""
    return kind(*args, evaluate=False)


def diff(body: Any, *variables: Any) -> Any:
    return sp.Derivative(body, *variables, evaluate=False)


def mean(body: Any) -> Any:
    return sp.Sum(body, (i, 0, n - 1)) / n


# -- exact strings -----------------------------------------------------------------------------------------------------

# fmt: off
FORMULAS: list[tuple[Any, str, str]] = [
    # the order of terms and factors
    (w**2 - 6*w + 5, "w^2 - 6w + 5", "w² − 6 w + 5"),
    (y - w*x - b, "y - wx - b", "y − w x − b"),
    (1 - sigmoid(z), r"1 - \sigma(z)", "1 − σ(z)"),
    (1 + sp.exp(-z), "1 + e^{-z}", "1 + e⁻ᶻ"),
    (x**2 - 2*x*y + y**2, "x^2 - 2xy + y^2", "x² − 2 x y + y²"),
    (-x - y, "-x - y", "−x − y"),
    (b + sp.Sum(X[i, j]*W[j], (j, 0, d - 1)), r"b + \sum_{j=0}^{d-1} X_{ij}w_j", "b + Σⱼ Xᵢⱼ wⱼ"),
    (mean(RESIDUAL**2) + lam*sp.Sum(W[j]**2, (j, 0, d - 1)), r"\frac{1}{n}\sum_{i=0}^{n-1} (y_i - wx_i - b)^2 + \lambda\sum_{j=0}^{d-1} w_j^2", "(1/n) Σᵢ (yᵢ − w xᵢ − b)² + λ Σⱼ wⱼ²"),
    (raw(sp.Add, -b, y), "-b + y", "−b + y"),
    (raw(sp.Add, x, raw(sp.Add, y, z)), "x + (y + z)", "x + (y + z)"),
    (raw(sp.Add, x, raw(sp.Mul, -1, y + z)), "x - (y + z)", "x − (y + z)"),
    (2*x*sp.exp(-z)*(y + 1), r"2x\,e^{-z}\,(y + 1)", "2 x e⁻ᶻ (y + 1)"),
    (2*sp.pi*lam*w, r"2\pi\lambda w", "2 π λ w"),
    # products as they stand
    (raw(sp.Mul, 2, raw(sp.Add, w, -3), 1), r"2(w - 3) \cdot 1", "2 (w − 3) · 1"),
    (raw(sp.Mul, 2, RESIDUAL, -XS[i]), "2(y_i - wx_i - b)(-x_i)", "2 (yᵢ − w xᵢ − b) (−xᵢ)"),
    (raw(sp.Mul, x, -1), r"x \cdot (-1)", "x · (−1)"),
    (raw(sp.Mul, 2, 3, x), r"2 \cdot 3x", "2 · 3 x"),
    (raw(sp.Mul, 0, x), r"0 \cdot x", "0 · x"),
    (raw(sp.Mul, -1, x + y), "-(x + y)", "−(x + y)"),
    (raw(sp.Mul, x, diff(w**2, w)), r"x \cdot \frac{d}{dw}\,w^2", "x · d/dw w²"),
    (raw(sp.Mul, diff(w**2, w), x), r"\left(\frac{d}{dw}\,w^2\right)\,x", "(d/dw w²) x"),
    (raw(sp.Pow, w, raw(sp.Add, 2, -1)), "w^{2-1}", "w²⁻¹"),
    (raw(sp.Mul, y - x*z, raw(sp.Pow, z, -2)), r"\frac{y - xz}{z^2}", "(y − x z)/z²"),
    # fractions
    ((w - 3)**2/2, r"\frac{1}{2}(w - 3)^2", "(1/2) (w − 3)²"),
    (lam*w**2/2, r"\frac{\lambda w^2}{2}", "λ w²/2"),
    ((y - p)/(p*(1 - p)), r"\frac{y - p}{p\,(1 - p)}", "(y − p)/(p (1 − p))"),
    (x*sp.exp(-z)/(1 + sp.exp(-z))**2, r"\frac{x\,e^{-z}}{(1 + e^{-z})^2}", "x e⁻ᶻ/(1 + e⁻ᶻ)²"),
    (2*mean(XS[i]*RESIDUAL), r"\frac{2}{n}\sum_{i=0}^{n-1} x_i\,(y_i - wx_i - b)", "(2/n) Σᵢ xᵢ (yᵢ − w xᵢ − b)"),
    (-mean(Y[i]), r"-\frac{1}{n}\sum_{i=0}^{n-1} y_i", "−(1/n) Σᵢ yᵢ"),
    (sp.exp(x)/sp.Sum(sp.exp(XS[i]), (i, 0, n - 1)), r"\frac{e^x}{\sum_{i=0}^{n-1} e^{x_i}}", "eˣ/(Σᵢ e^(xᵢ))"),
    (sp.Rational(-3, 4), r"-\frac{3}{4}", "−3/4"),
    # powers, roots, functions
    (sp.tanh(x)**2, r"\tanh^2(x)", "tanh²(x)"),
    (sigmoid(z)**2, r"\sigma(z)^2", "σ(z)²"),
    (sp.log(x)**2, r"\log(x)^2", "log(x)²"),
    (sp.exp(-(x - y)**2/(2*z**2)), "e^{-(x-y)^2/(2z^2)}", "e^(−(x − y)²/(2 z²))"),
    (sp.sqrt(x + 1), r"\sqrt{x + 1}", "√(x + 1)"),
    (1/sp.sqrt(x), r"\frac{1}{\sqrt{x}}", "1/√x"),
    (x**sp.Rational(3, 2), "x^{3/2}", "x^(3/2)"),
    ((-x)**y, "(-x)^y", "(−x)ʸ"),
    (sp.Symbol("x_1")**2, "x_1^2", "x₁²"),
    (sp.Abs(x - y)**3, r"\lvert x - y\rvert^3", "|x − y|³"),
    (sp.floor(x/2), r"\left\lfloor\frac{x}{2}\right\rfloor", "⌊x/2⌋"),
    (sp.Mod(x, 3), r"x \bmod 3", "x mod 3"),
    (relu(x) + softplus(-x), r"\operatorname{ReLU}(x) + \operatorname{softplus}(-x)", "ReLU(x) + softplus(−x)"),
    (logsumexp(x, y) - softmax(x, y), r"\operatorname{logsumexp}(x, y) - \operatorname{softmax}(x, y)", "logsumexp(x, y) − softmax(x, y)"),
    (sp.Max(0, 1 - x), r"\max(0, 1 - x)", "max(0, 1 − x)"),
    (sp.Heaviside(x, 0), r"\mathbf{1}[x > 0]", "1[x > 0]"),
    (sp.Heaviside(x, 1), r"\mathbf{1}[x \geq 0]", "1[x ≥ 0]"),
    (sp.Heaviside(x), "H(x)", "H(x)"),
    (sp.polygamma(1, x), r"\psi^{(1)}(x)", "ψ⁽¹⁾(x)"),
    (sp.loggamma(x), r"\log \Gamma(x)", "log Γ(x)"),
    (sp.asinh(x), r"\operatorname{arsinh}(x)", "arsinh(x)"),
    (sp.Function("f")(x), "f(x)", "f(x)"),
    (sp.besselj(0, x), r"\operatorname{besselj}(0, x)", "besselj(0, x)"),
    # cases, conditions, tuples
    (sp.Piecewise((x, x < 1), (1, True)), r"\begin{cases} x & \text{if }x < 1 \\ 1 & \text{otherwise} \end{cases}", "{x if x < 1; 1 otherwise}"),
    (sp.And(x > 0, sp.Or(y > 0, sp.Ne(z, 0))), r"x > 0\text{ and }(y > 0\text{ or }z \neq 0)", "x > 0 and (y > 0 or z ≠ 0)"),
    (sp.KroneckerDelta(j, k), r"\delta_{jk}", "δⱼₖ"),
    (sp.KroneckerDelta(i, j + 1), r"\delta_{i,j+1}", "δ_[i,j+1]"),
    (sp.Lambda(x, x**2), r"x \mapsto x^2", "x ↦ x²"),
    (sp.Tuple(x, y), "(x, y)", "(x, y)"),
    # numbers
    (sp.Float(0.1), "0.1", "0.1"),
    (sp.Float(-1.5e-7)*x, r"-1.5 \times 10^{-7}x", "−1.5 × 10⁻⁷ x"),
    (-sp.oo, r"-\infty", "−∞"),
    # sums over an index
    (sp.Sum(XS[i + 1] - XS[i], (i, 0, n - 2)), r"\sum_{i=0}^{n-2} (x_{i+1} - x_i)", "Σ_{i=0}^{n−2} (xᵢ₊₁ − xᵢ)"),
    (sp.Sum(X[i, j], (j, 0, d - 1), (i, 0, n - 1)), r"\sum_{i=0}^{n-1} \sum_{j=0}^{d-1} X_{ij}", "Σᵢ Σⱼ Xᵢⱼ"),
    (sp.Sum(-XS[i], (i, 0, n - 1)), r"\sum_{i=0}^{n-1} (-x_i)", "Σᵢ (−xᵢ)"),
    (sp.Sum(XS[i], (i, 1, n))**2, r"\biggl(\sum_{i=1}^{n} x_i\biggr)^2", "(Σᵢ xᵢ)²"),
    (sp.Sum(x, (i, 1, 3)), r"\sum_{i=1}^{3} x", "Σ_{i=1}^{3} x"),
    (sp.Product(XS[i], (i, 0, n - 1)), r"\prod_{i=0}^{n-1} x_i", "Πᵢ xᵢ"),
    (X[i + 1, j], "X_{i+1,j}", "X_[i+1,j]"),
    (X[i, 10], "X_{i,10}", "X_[i,10]"),
    (sp.IndexedBase("x_1")[i], "x_{1,i}", "x_[1,i]"),
    (XS[sp.IndexedBase("g")[i]], "x_{g_i}", "x_[gᵢ]"),
    # derivatives
    (diff(w**2, w), r"\frac{d}{dw}\,w^2", "d/dw w²"),
    (diff(-w, w), r"\frac{d}{dw} (-w)", "d/dw (−w)"),
    (diff(w*x, w), r"\frac{\partial}{\partial w} (wx)", "∂/∂w (w x)"),
    (diff(mean(RESIDUAL**2), w), r"\frac{\partial}{\partial w}\,\frac{1}{n}\sum_{i=0}^{n-1} (y_i - wx_i - b)^2", "∂/∂w (1/n) Σᵢ (yᵢ − w xᵢ − b)²"),
    (diff(X[i, j]*W[j], W[k]), r"\frac{\partial}{\partial w_k} (X_{ij}w_j)", "∂/∂wₖ (Xᵢⱼ wⱼ)"),
    (diff(w**2*x, w, w, x), r"\frac{\partial^3}{\partial w^2\,\partial x} (w^2x)", "∂³/(∂w² ∂x) (w² x)"),
    (sp.Subs(diff(sp.sin(u), u), u, w*x), r"\left. \frac{d}{du}\,\sin(u) \right|_{u=wx}", "[d/du sin(u)]_{u = w x}"),
    (GradientOf(LOSS, w), r"\frac{\partial L}{\partial w}", "∂L/∂w"),
    (GradientOf(LOSS, W[k]), r"\frac{\partial L}{\partial w_k}", "∂L/∂wₖ"),
    (GradientOf(LOSS, W), r"\nabla_{\mathbf{w}} L", "∇_w L"),
    (GradientOf(LOSS, w, b), r"\frac{\partial^2L}{\partial w\,\partial b}", "∂²L/(∂w ∂b)"),
    (GradientOf(LOSS, w, w), r"\frac{\partial^2L}{\partial w^2}", "∂²L/∂w²"),
    (raw(sp.Mul, GradientOf(LOSS, z), GradientOf(z, w)), r"\frac{\partial L}{\partial z} \cdot \frac{\partial z}{\partial w}", "∂L/∂z · ∂z/∂w"),
    # matrices
    (A*V - T, r"\mathbf{X}\mathbf{w} - \mathbf{y}", "X w − y"),
    (2*A.T*(A*V - T)/n, r"\frac{2}{n}\mathbf{X}^{\mathsf{T}}(\mathbf{X}\mathbf{w} - \mathbf{y})", "(2/n) Xᵀ (X w − y)"),
    (sp.MatMul(-1, V), r"-\mathbf{w}", "−w"),
    (sp.MatMul(-2, -3, V), r"2 \cdot 3\mathbf{w}", "2 · 3 w"),
    (sp.Transpose(A*V), r"(\mathbf{X}\mathbf{w})^{\mathsf{T}}", "(X w)ᵀ"),
    (sp.Add(lam, V.T*V, evaluate=False), r"\mathbf{w}^{\mathsf{T}}\mathbf{w} + \lambda", "wᵀ w + λ"),
    (sp.Trace(A.T*A)*lam/2, r"\frac{\lambda}{2}\,\operatorname{tr}(\mathbf{X}^{\mathsf{T}}\mathbf{X})", "(λ/2) tr(Xᵀ X)"),
    (A.T*sp.HadamardProduct(T, A*V), r"\mathbf{X}^{\mathsf{T}}\bigl((\mathbf{X}\mathbf{w}) \odot \mathbf{y}\bigr)", "Xᵀ ((X w) ⊙ y)"),
    (sp.HadamardPower(A*V - T, 2), r"(\mathbf{X}\mathbf{w} - \mathbf{y})^{\circ2}", "(X w − y)^∘2"),
    (sp.MatAdd(A*V, B1).applyfunc(sigmoid), r"\sigma(\mathbf{X}\mathbf{w} + \mathbf{b}_1)", "σ(X w + b₁)"),
    ((A*V).applyfunc(sp.Lambda(x, 1 - sp.tanh(x)**2)), r"1 - \tanh^2(\mathbf{X}\mathbf{w})", "1 − tanh²(X w)"),
    ((A*V).applyfunc(sp.Lambda(x, sigmoid(x)*(1 - sigmoid(x)))), r"\sigma(\mathbf{X}\mathbf{w}) \odot \bigl(1 - \sigma(\mathbf{X}\mathbf{w})\bigr)", "σ(X w) ⊙ (1 − σ(X w))"),
    ((A*V - T).applyfunc(sp.Lambda(x, 2*x*sp.exp(x))), r"2(\mathbf{X}\mathbf{w} - \mathbf{y}) \odot e^{\mathbf{X}\mathbf{w}-\mathbf{y}}", "2 (X w − y) ⊙ e^(X w − y)"),
    ((A*V).applyfunc(sp.Lambda(x, x**3)), r"(\mathbf{X}\mathbf{w})^{\circ3}", "(X w)^∘3"),
    (sp.Transpose(V.applyfunc(sp.tanh)), r"\tanh(\mathbf{w})^{\mathsf{T}}", "tanh(w)ᵀ"),
    (sp.Inverse(M)*V, r"\mathbf{W}^{-1}\mathbf{w}", "W⁻¹ w"),
    (sp.Identity(n), r"\mathbf{I}_n", "Iₙ"),
    (sp.OneMatrix(n, 1) - T, r"\mathbf{1}_n - \mathbf{y}", "1ₙ − y"),
    (sp.ZeroMatrix(n, d), r"\mathbf{0}", "0"),
    (RowSoftmax(A*M), r"\operatorname{softmax}(\mathbf{X}\mathbf{W})", "softmax(X W)"),
    (RowLogSumExp(A), r"\operatorname{logsumexp}(\mathbf{X})", "logsumexp(X)"),
    (sp.Matrix([[x, 0], [1, y]]), r"\begin{bmatrix} x & 0 \\ 1 & y \end{bmatrix}", "[x, 0; 1, y]"),
    (A[i, j], "X_{ij}", "Xᵢⱼ"),
    (V[j, 0], "w_j", "wⱼ"),
    (sp.FunctionMatrix(n, 1, sp.Lambda((i, j), X[i, 0]**2)), "[X_{i0}^2]_i", "[Xᵢ₀²]ᵢ"),
    (Change(V), r"\mathrm{d}\mathbf{w}", "dw"),
    (A*Change(V), r"\mathbf{X}\,\mathrm{d}\mathbf{w}", "X dw"),
    (Change(A*V), r"\mathrm{d}(\mathbf{X}\mathbf{w})", "d(X w)"),
    (sp.Transpose(Change(V)), r"(\mathrm{d}\mathbf{w})^{\mathsf{T}}", "(dw)ᵀ"),
]
# fmt: on


@pytest.mark.parametrize(("expression", "tex", "plain"), FORMULAS, ids=[plain for _, _, plain in FORMULAS])
def test_formula(expression: Any, tex: str, plain: str) -> None:
    assert latex.formula(expression, PLAIN) == tex
    assert text.formula(expression, PLAIN) == plain


# fmt: off
NAMES = [
    ("w", "w", "w"), ("x_1", "x_1", "x₁"), ("w_{ij}", "w_{ij}", "wᵢⱼ"), ("w_ij", "w_{ij}", "wᵢⱼ"), ("beta1", r"\beta_1", "β₁"),
    ("lam", r"\lambda", "λ"), ("alpha", r"\alpha", "α"), ("theta_hat", r"\hat{\theta}", "θ̂"), ("v1_dot", r"\dot{v}_1", "v̇₁"),
    ("mhat", r"\hat{m}", "m̂"), ("thetabar", r"\bar{\theta}", "θ̄"), ("chat_1", r"\hat{c}_1", "ĉ₁"), ("hat", r"\mathrm{hat}", "hat"),
    ("Gamma", r"\Gamma", "Γ"), ("Alpha", r"\mathrm{Alpha}", "Alpha"), ("learning_rate", r"\mathrm{learning}_{\mathrm{rate}}", "learning_rate"),
    ("x_train", r"x_{\mathrm{train}}", "x_train"), ("w_star", r"w^{\star}", "w*"), ("v'", r"v^{\prime}", "v′"), ("ŵ", r"\hat{w}", "ŵ"), ("λ", r"\lambda", "λ"),
    ("x_{i,j}", "x_{i,j}", "x_[i,j]"), ("w_alpha", r"w_{\alpha}", "w_α"), ("año", r"\text{año}", "año"), ("a b", r"\text{a b}", "a b"),
    ("", r"\text{?}", "?"),
]
# fmt: on


@pytest.mark.parametrize(("name", "tex", "plain"), NAMES)
def test_name(name: str, tex: str, plain: str) -> None:
    assert latex.formula(sp.Symbol(name), PLAIN) == tex
    assert text.formula(sp.Symbol(name), PLAIN) == plain


# fmt: off
OPTIONS = [
    ({"times": "cdot"}, 2*w*(x + 1), r"2 \cdot w \cdot (x + 1)", "2 · w · (x + 1)"),
    ({"times": "times"}, raw(sp.Mul, 2, 3, x), r"2 \times 3 \times x", "2 × 3 × x"),
    ({"times": "cdot"}, 2*A.T*T/n, r"\frac{2}{n}\mathbf{X}^{\mathsf{T}}\mathbf{y}", "(2/n) Xᵀ y"),
    ({"vectors": "arrow"}, A*V, r"X\vec{w}", "X w⃗"),
    ({"vectors": "plain"}, A*V, "Xw", "X w"),
    ({"vectors": "plain"}, sp.Identity(n), "I_n", "Iₙ"),
    ({"derivative": "nabla"}, GradientOf(LOSS, w), r"\nabla_w L", "∇_w L"),
    ({"language": "es"}, sp.Piecewise((x, sp.And(x > 0, x < 1)), (0, True)), r"\begin{cases} x & \text{si }x > 0\text{ y }x < 1 \\ 0 & \text{en otro caso} \end{cases}", "{x si x > 0 y x < 1; 0 en otro caso}"),
    ({"names": {"lam": r"\lambda_1"}}, lam*w**2, r"\lambda_1w^2", "λ₁ w²"),
    ({"names": {w: r"\hat{w}"}}, w**2, r"\hat{w}^2", "ŵ²"),
    ({"names": {V: r"\mathbf{w}^\star"}}, sp.Transpose(V), r"{\mathbf{w}^\star}^{\mathsf{T}}", "w*ᵀ"),
    ({"names": {"w": r"\mathrm{gain}"}}, w*x, r"\mathrm{gain}x", "gain x"),
    ({"names": {"w": r"\foo{w}'"}}, w, r"\foo{w}'", "w′"),
]
# fmt: on


@pytest.mark.parametrize(("options", "expression", "tex", "plain"), OPTIONS)
def test_notation(options: dict[str, Any], expression: Any, tex: str, plain: str) -> None:
    assert latex.formula(expression, Notation(**options)) == tex
    assert text.formula(expression, Notation(**options)) == plain


@pytest.mark.parametrize("record", TABLE.values(), ids=TABLE)
def test_every_elementary_function_is_shown_by_name_not_as_a_call_of_python(record: Any) -> None:
    call = record.sympy(*sp.symbols("x y")[: record.arity])
    plain = text.formula(call, PLAIN)
    ours = {
        "asin",
        "acos",
        "atan",
        "asinh",
        "acosh",
        "atanh",
        "loggamma",
        "polygamma",
        "Heaviside",
        "Abs",
        "relu",
        "exp",
    }
    assert not ours & set(re.findall(r"[^\W_]+", plain)), plain
    ET.fromstring(html.formula(call, PLAIN))
    assert "\\text" not in latex.formula(call, PLAIN)  # no fallback


# -- what is shown means what was meant ----------------------------------------------------------------------------------


@st.composite
def trees(draw: Any, depth: int = 4) -> Any:
    """Sums, products and powers in every unevaluated arrangement, and evaluated ones."""
    if depth == 0 or draw(st.integers(0, 4)) == 0:
        leaves = [w, x, y, *map(sp.Integer, (-3, -1, 0, 1, 2, 3)), sp.Rational(1, 2), sp.Rational(-2, 3)]
        return draw(st.sampled_from(leaves))
    kind = draw(st.sampled_from([sp.Add, sp.Mul, sp.Mul, sp.Pow]))
    if kind is sp.Pow:
        base = draw(trees(depth=depth - 1))
        return sp.Pow(base, draw(st.sampled_from([-2, -1, 2, 3])), evaluate=False)
    args = draw(st.lists(trees(depth=depth - 1), min_size=2, max_size=3))
    return kind(*args, evaluate=draw(st.booleans()))


def value_of(expression: Any, point: dict[str, Fraction]) -> Fraction:
    """The value of a tree, node by node, without SymPy's help."""
    if expression.is_Symbol:
        return point[expression.name]
    if expression.is_Rational:
        return Fraction(int(expression.p), int(expression.q))
    args = [value_of(argument, point) for argument in expression.args]
    if expression.is_Pow:
        return args[0] ** int(args[1])
    return sum(args, Fraction(0)) if expression.is_Add else Fraction(1) * _product(args)


def _product(factors: list[Fraction]) -> Fraction:
    result = Fraction(1)
    for factor in factors:
        result *= factor
    return result


SUP = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


def from_text(formula: str) -> str:
    """A formula in text as Python: what stands side by side is multiplied."""
    code, before = "", ""
    for token in re.findall(r"\d+|[wxy]|[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+|[()+−/·]|\S", formula):
        if re.match(r"[\dwxy(]", token) and re.match(r"[\dwxy)⁰¹²³⁴⁵⁶⁷⁸⁹⁻]", before):
            assert not re.search(r"/\w+$", code), f"{formula}: is the last factor below the line?"
            code += "*"
        if re.match(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]", token):
            code += f"**({token.translate(SUP)})"
        elif token.isdecimal():
            code += f"F({token})"
        else:
            code += {"−": "-", "·": "*"}.get(token, token)
        before = token
    return code


def from_latex(formula: str) -> str:
    """The same for LaTeX."""
    tokens = re.findall(
        r"\\frac|\\[A-Za-z]+|\\,|\d+|\S", re.sub(r"\\(left|right|[bB]ig+[lr])(?![A-Za-z])", "", formula)
    )
    stream: Iterator[str] = iter(tokens)

    def group() -> str:
        inside, level = [], 1
        token = next(stream)
        if token != "{":
            return read(iter([token]))
        while level:
            token = next(stream)
            level += {"{": 1, "}": -1}.get(token, 0)
            inside.append(token)
        return read(iter(inside[:-1]))

    def read(part: Iterator[str]) -> str:
        nonlocal stream
        outer, stream = stream, part
        code = ""
        for token in stream:
            joins = bool(re.search(r"[\w)]$", code))
            if token == "\\frac":
                code += ("*" if joins else "") + f"(({group()})/({group()}))"
            elif token == "^":
                code += f"**({group()})"
            elif token == "\\cdot":
                code += "*"
            elif token != "\\,":
                piece = f"F({token})" if token.isdecimal() else token
                code += f"*{piece}" if joins and re.match(r"[\w(]", piece) else piece
        stream = outer
        return code

    return read(stream)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(trees())
def test_brackets_and_signs_keep_the_value(expression: Any) -> None:
    """Read back as arithmetic, text and LaTeX give the value of the tree: no bracket, sign or dot is missing."""
    point = {"w": Fraction(5, 7), "x": Fraction(-11, 3), "y": Fraction(13, 2)}
    assume(not expression.has(sp.zoo, sp.nan))
    try:
        value = value_of(expression, point)
    except ZeroDivisionError:
        assume(False)
    for read, shown in ((from_text, text.formula(expression, PLAIN)), (from_latex, latex.formula(expression, PLAIN))):
        assert eval(read(shown), {"F": Fraction, **point}) == value, shown


def test_a_sum_ends_at_a_plus_and_stands_in_brackets_before_a_factor() -> None:
    total = sp.Sum(XS[i], (i, 0, n - 1))
    assert text.formula(raw(sp.Add, total, 2 * lam * w), PLAIN) == "Σᵢ xᵢ + 2 λ w"
    assert text.formula(raw(sp.Mul, total, w), PLAIN) == "(Σᵢ xᵢ) w"
    assert text.formula(sp.MatMul(total, V), PLAIN) == "(Σᵢ xᵢ) w"
    assert text.formula(raw(sp.Add, sp.Piecewise((x, x > 0), (0, True)), y), PLAIN) == "({x if x > 0; 0 otherwise}) + y"


def test_the_range_of_a_sum_is_left_out_only_where_it_is_that_of_its_arrays() -> None:
    assert text.formula(sp.Sum(XS[i], (i, 0, n - 1)), PLAIN) == "Σᵢ xᵢ"
    assert text.formula(sp.Sum(XS[i], (i, 1, n - 1)), PLAIN) == "Σ_{i=1}^{n−1} xᵢ"
    assert text.formula(sp.Sum(XS[i], (i, 0, d - 1)), PLAIN) == "Σ_{i=0}^{d−1} xᵢ"
    assert text.formula(sp.Sum(XS[i], (i, 2, n + 1)), PLAIN) == "Σ_{i=2}^{n+1} xᵢ"
    assert text.formula(sp.Sum(XS[2 * i], (i, 0, n)), PLAIN) == "Σ_{i=0}^{n} x_[2 i]"


# -- pages ---------------------------------------------------------------------------------------------------------------

CHAIN = Chain(
    (
        Line(diff(mean(RESIDUAL**2), w), GradientOf(LOSS, w)),
        Line(raw(sp.Mul, 1 / n, sp.Sum(diff(RESIDUAL**2, w), (i, 0, n - 1))), rule=("linearity of the sum",)),
        Line(
            raw(sp.Mul, 1 / n, sp.Sum(raw(sp.Mul, 2, RESIDUAL, diff(RESIDUAL, w)), (i, 0, n - 1))),
            rule=("power rule, chain rule",),
            note=("inner function ", RESIDUAL),
            conditions=(sp.Ne(w, 0),),
        ),
        Line(-2 * mean(XS[i] * RESIDUAL), rule=("definition of ", sigmoid(z))),
    )
)
TABLE_BLOCK = Table(("node", LOSS, "value"), (("a|b", w**2, 0.5), ("</b>", sp.Abs(x), -1.25e-7), ("50%", x, 3)))
PAGE: list[Block] = [
    Heading(("Gradient by ", w)),
    Paragraph(("Over ", n, " samples: 100% & α² ≤ v̄ <b>.")),
    CHAIN,
    TABLE_BLOCK,
]


def test_text_page() -> None:
    assert text.document(PAGE, PLAIN) == (
        "Gradient by w\n"
        "─────────────\n"
        "\n"
        "Over n samples: 100% & α² ≤ v̄ <b>.\n"
        "\n"
        "∂L/∂w = ∂/∂w (1/n) Σᵢ (yᵢ − w xᵢ − b)²\n"
        "      = (1/n) Σᵢ ∂/∂w (yᵢ − w xᵢ − b)²                       linearity of the sum\n"
        "      = (1/n) Σᵢ 2 (yᵢ − w xᵢ − b) · ∂/∂w (yᵢ − w xᵢ − b)    power rule, chain rule\n"
        "                                                             (w ≠ 0; inner function yᵢ − w xᵢ − b)\n"
        "      = −(2/n) Σᵢ xᵢ (yᵢ − w xᵢ − b)                         definition of σ(z)\n"
        "\n"
        "node  L           value\n"
        "────  ───  ────────────\n"
        "a|b   w²            0.5\n"
        "</b>  |x|  −1.25 × 10⁻⁷\n"
        "50%   x               3"
    )


def test_latex_fragment() -> None:
    assert latex.fragment([CHAIN], PLAIN) == (
        "$$\n\\begin{aligned}\n"
        r"\frac{\partial L}{\partial w} &= \frac{\partial}{\partial w}\,\frac{1}{n}\sum_{i=0}^{n-1} (y_i - wx_i - b)^2 \\"
        "\n"
        r"&= \frac{1}{n}\sum_{i=0}^{n-1} \frac{\partial}{\partial w}\,(y_i - wx_i - b)^2 && \text{(linearity of the sum)} \\"
        "\n"
        r"&= \frac{1}{n}\sum_{i=0}^{n-1} 2(y_i - wx_i - b) \cdot \frac{\partial}{\partial w} (y_i - wx_i - b)"
        r" && \text{(power rule, chain rule)}\;{\scriptstyle w \neq 0;\ \text{inner function }y_i - wx_i - b} \\"
        "\n"
        r"&= -\frac{2}{n}\sum_{i=0}^{n-1} x_i\,(y_i - wx_i - b) && \text{(definition of }\sigma(z)\text{)}"
        "\n\\end{aligned}\n$$"
    )


def test_markdown_table() -> None:
    assert markdown.document([TABLE_BLOCK], PLAIN, "T_1") == (
        "# T\\_1\n\n"
        "| node | $L$ | value |\n"
        "| :--- | :--- | ---: |\n"
        "| a\\|b | $w^2$ | $0.5$ |\n"
        "| \\</b\\> | $\\lvert x\\rvert$ | $-1.25 \\times 10^{-7}$ |\n"
        "| 50% | $x$ | $3$ |\n"
    )


def html_tree(page: list[Block], notation: Notation = PLAIN, title: str = "T") -> ET.Element:
    document = html.document(page, notation, title)
    assert document.startswith("<!DOCTYPE html>\n")
    return ET.fromstring(document.removeprefix("<!DOCTYPE html>\n"))


def test_html_page() -> None:
    tree = html_tree(PAGE, Notation(language="es"), "<Título>")
    assert tree.get("lang") == "es"
    assert tree.findtext("head/title") == tree.findtext(".//h1") == "<Título>"
    assert [cell.text for cell in tree.findall(".//td[@class='rule']")][:2] == [None, "linearity of the sum"]
    assert len(tree.findall(".//td[@class='rule']/span[@class='said']/math")) == 2
    assert [cell.get("scope") for cell in tree.findall(".//th")] == ["col"] * 3
    numbers = ["".join(cell.itertext()) for cell in tree.findall(".//td[@class='number']")]
    assert numbers == ["0.5", "−1.25×10−7", "3"]
    assert not tree.findall(".//script") and not tree.findall(".//link") and not tree.findall(".//img")


def test_rules_can_be_left_out() -> None:
    silent = Notation(rules=False)
    for shown in (
        text.document([CHAIN], silent),
        latex.fragment([CHAIN], silent),
        latex.document([CHAIN], silent, ""),
        html.document([CHAIN], silent, ""),
        markdown.document([CHAIN], silent, ""),
    ):
        assert "rule," not in shown and "inner function" not in shown and "linearity" not in shown


def test_a_chain_may_begin_with_a_formula_without_a_left_side() -> None:
    chain = [Chain((Line(x + y), Line(y + x + 1)))]
    assert text.document(chain, PLAIN) == "x + y\n = x + y + 1"
    assert "& x + y \\\\\n&= x + y + 1" in latex.fragment(chain, PLAIN)


ARITY = {"mfrac": 2, "msub": 2, "msup": 2, "msubsup": 3, "munder": 2, "mover": 2, "munderover": 3, "mroot": 2}


@pytest.mark.parametrize(
    "expression", [expression for expression, _, _ in FORMULAS], ids=[plain for _, _, plain in FORMULAS]
)
def test_mathml_is_well_formed(expression: Any) -> None:
    """Elements have as many children as MathML asks for, and only leaves have text."""
    for element in ET.fromstring(html.formula(expression, PLAIN)).iter():
        assert len(element) == ARITY.get(element.tag, len(element)), element.tag
        assert element.tag in {"mi", "mn", "mo", "mtext"} or not (element.text or "").strip()


# -- long formulas -------------------------------------------------------------------------------------------------------

TERMS = [sp.Symbol(f"a{place}") * sp.Symbol(f"b{place}") ** 2 for place in range(40)]
LONG = {
    "a sum": raw(sp.Add, *TERMS),
    "a sum in brackets": raw(sp.Mul, 2, sp.sqrt(x), raw(sp.Add, *TERMS)),
    "a power of a sum": raw(sp.Pow, raw(sp.Add, *TERMS), 2),
    "a sum in a function": sp.log(raw(sp.Add, *TERMS, sp.Sum(XS[i], (i, 0, n - 1)))),
    "a product": raw(sp.Mul, *(number for term in TERMS for number in (term, sp.Integer(2)))),
}


@pytest.mark.parametrize("expression", LONG.values(), ids=LONG)
def test_long_formulas_are_broken(expression: Any) -> None:
    box = formula_box(expression, PLAIN)
    lines = broken(box, 60)
    assert len(lines) > 3 and all(width(line) <= 60 for line in lines)
    whole = text.show(box)
    assert "".join(map(text.show, lines)) == whole  # nothing is lost, and signs stand at the beginning of lines
    assert all(text.show(line)[1] in "+−·" for line in lines[1:])
    shown = text.document([Chain((Line(expression, LOSS, rule=("sum rule",)),))], PLAIN).split("\n")
    assert max(map(text.columns, shown)) <= text.COLUMNS and len(shown) > 2
    assert latex.fragment([Chain((Line(expression, LOSS),))], PLAIN).count("&\\quad ") >= 2


def test_of_several_brackets_the_widest_are_opened() -> None:
    first, *_ = broken(formula_box(raw(sp.Mul, raw(sp.Add, x, 1), raw(sp.Add, *TERMS)), PLAIN), 60)
    kinds = [type(item).__name__ for item in first.items]
    assert kinds[:3] == ["Fence", "Gap", "Delimiter"]


def test_long_rules_go_below() -> None:
    rule = "a rule that is told at some length, " * 3
    shown = text.document([Chain((Line(sp.Sum(X[i, j], (j, 0, 3), (i, 0, 3)), LOSS, rule=(rule,)),))], PLAIN).split(
        "\n"
    )
    assert shown[0] == "L = Σ_{i=0}^{3} Σ_{j=0}^{3} Xᵢⱼ"
    assert (
        len(shown) > 1 and max(map(len, shown)) <= text.COLUMNS and " ".join(map(str.strip, shown[1:])) == rule.strip()
    )


# -- names from outside --------------------------------------------------------------------------------------------------

HOSTILE = [
    "</script><script>alert(1)</script>", "\\input{/etc/passwd}", "\\write18{rm}", "$x$", "$$", "100%", "a_b_", "_", "a&b", "x^2", "#1",
    "{", "}", "}{", "~", "\\", "\\\\", "a|b", "`code`", "'quoted'", '"double"', "a*b*c", "[link](http://x)", "<b>", "&amp;", "-->", "]]>",
    "\x1b[31mred", "new\nline", "tab\t", "nul\0", "\u202eright", "重み", "𝒳", "ﬁ", "ẇ", "\\end{aligned}", "\\text{", "%\n\\evil",
]  # fmt: skip


def shapes(name: str) -> list[Any]:
    """A name wherever names can stand."""
    symbol = sp.Symbol(name)
    return [
        symbol**2 + 1,
        sp.IndexedBase(symbol)[i],
        sp.MatrixSymbol(name, n, 1).T,
        sp.Function(name.replace("\0", "0"))(x),
        sp.Integral(symbol, x),
        diff(symbol * x, symbol),
        GradientOf(LOSS, sp.MatrixSymbol(name, n, 1)),
    ]


COMMANDS = {
    *("frac", "partial", "mathsf", "backslash", "text", "textbf", "mathrm", "mathbf", "wedge", "sim", "vert", "nabla"),
    *("left", "right", "sum", "dot", "prime", "cdot", "operatorname", "mathit"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_reach_no_format(name: str) -> None:
    for expression in shapes(name):
        tex = latex.formula(expression, PLAIN)
        assert set(re.findall(r"\\([A-Za-z]+)", tex)) <= COMMANDS, tex
        bare = re.sub(r"\\.", "", tex)
        assert not set("$%#&~") & set(bare) and "\n" not in bare and "\\\\" not in re.sub(r"\\[A-Za-z]+", "", tex), tex
        depth = list(itertools.accumulate({"{": 1, "}": -1}.get(letter, 0) for letter in bare))
        assert min([*depth, 0]) == 0 and depth[-1] == 0, tex
        assert {element.tag for element in ET.fromstring(html.formula(expression, PLAIN)).iter()} <= {
            "math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msub", "msup", "msubsup", "mover", "munderover",
        }  # fmt: skip
        assert text.formula(expression, PLAIN).isprintable()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_words_reach_no_format(name: str) -> None:
    symbol = sp.Symbol(name)
    page: list[Block] = [
        Heading((name,)),
        Paragraph((name, symbol)),
        Chain((Line(symbol, symbol, rule=(name, symbol), note=(name,)),)),
        Table((name,), ((name,), (symbol,))),
    ]
    tree = html_tree(page, title=name)
    assert not tree.findall(".//script") and not tree.findall(".//b") and len(tree.findall(".//td")) == 4 + 2
    lines = markdown.document(page, PLAIN, name).split("\n")
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 4 and all(len(re.findall(r"(?<!\\)\|", line)) == 2 for line in table)
    assert not re.search(r"(?<!\\)</?[a-z]", "\n".join(lines))
    for shown in (latex.fragment(page, PLAIN), latex.document(page, PLAIN, name)):
        assert "\\input{/" not in shown and "\\write18" not in shown and "\\evil" not in shown
        assert shown.count("\\begin{") == shown.count("\\end{")
    assert all(line.isprintable() for line in text.document(page, PLAIN).split("\n"))


def test_a_users_latex_with_a_bar_does_not_end_a_cell() -> None:
    shown = markdown.document([Table(("a",), ((w,),))], Notation(names={"w": "|w|"}), "T")
    assert shown.endswith("| $\\vert w\\vert $ |\n")


# -- what TeX and KaTeX say ----------------------------------------------------------------------------------------------

ALL = [*(expression for expression, _, _ in FORMULAS), *map(sp.Symbol, [name for name, _, _ in NAMES])]


def pages() -> list[Block]:
    """Everything on one page, and hostile names in every place."""
    blocks: list[Block] = list(PAGE)
    blocks += [
        Chain((Line(expression, LOSS, rule=("linealidad, año, ¿sí?", x), note=("α ≤ v̇",)),)) for expression in ALL
    ]
    blocks += [Chain((Line(expression, LOSS),)) for expression in LONG.values()]
    for name in HOSTILE:
        blocks += [
            Heading((name,)),
            Paragraph((name,)),
            Chain(tuple(Line(shape, LOSS, rule=(name,)) for shape in shapes(name))),
        ]
        blocks += [Table((name, "v"), ((name, 1.5), (sp.Symbol(name), 2)))]
    return blocks


@pytest.mark.latex
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_documents_compile(tmp_path: Path) -> None:
    (tmp_path / "page.tex").write_text(latex.document(pages(), PLAIN, "Título: 100% α"), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "page.tex"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=300)
    log = (tmp_path / "page.log").read_text(encoding="latin-1")
    assert run.returncode == 0, log[-2000:]
    assert "Missing character" not in log and "Warning: Command" not in log
    too_wide = [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)]
    assert max(too_wide, default=0) < 20, log


@pytest.mark.latex
@pytest.mark.slow
def test_katex_accepts_every_formula() -> None:
    formulas = [
        latex.formula(expression, notation) for expression in ALL for notation in (PLAIN, Notation(vectors="arrow"))
    ]
    for shown in (latex.fragment(pages(), PLAIN), markdown.document(PAGE, PLAIN, "T")):
        formulas += shown.split("$$")[1::2]
    assert len(formulas) > 300
    assert_katex_accepts(formulas)


@pytest.mark.slow
def test_output_does_not_depend_on_hashes() -> None:
    """The same page comes out of processes that order their sets differently."""
    code = "from test_render import *; print([m.document(PAGE, PLAIN, 'T') for m in (latex, markdown, html)], [text.formula(e, PLAIN) for e in ALL])"
    here = Path(__file__).parent
    outputs = set()
    for seed in ("1", "2"):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "PYTHONPATH": os.pathsep.join([str(here), str(here.parent)]),
        }
        outputs.add(
            subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True).stdout
        )
    assert len(outputs) == 1
