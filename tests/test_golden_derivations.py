"""Derivations as a person reads them: golden files in text and Markdown, LaTeX that compiles, MathML that is drawn."""

from __future__ import annotations

import os
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import sympy as sp
from helpers.katex import assert_katex_accepts

import symdescent as sd
from symdescent.derivation.derive import DETAILS

GOLDEN = Path(__file__).parent / "golden"

b, lam, w, x, y = sp.symbols("b lambda w x y")
n, d, K, m = sp.symbols("n d K m", integer=True, positive=True)
i, j, k = sp.symbols("i j k", integer=True)
X, Y, W = sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("y", shape=(n,)), sp.IndexedBase("w", shape=(d,))
C, V = sp.IndexedBase("c", shape=(n,)), sp.IndexedBase("W", shape=(d, K))
P = sp.IndexedBase("x", shape=(n,))
A, v, t = sp.MatrixSymbol("X", n, d), sp.MatrixSymbol("w", d, 1), sp.MatrixSymbol("y", n, 1)
W1, w2 = sp.MatrixSymbol("W", d, m), sp.MatrixSymbol("v", m, 1)
LINE = sp.Sum(X[i, j] * W[j], (j, 0, d - 1))
POSITIVE = sp.Symbol("x", positive=True)


def score(k: Any) -> Any:
    return sp.Sum(X[i, j] * V[j, k], (j, 0, d - 1))


def network() -> sd.Loss:
    hidden = (A * W1).applyfunc(sp.tanh)
    return sd.Loss((hidden * w2 - t).T * (hidden * w2 - t) / n, [W1, w2])


LOSSES = {
    "parabola": lambda: sd.Loss((w - 3) ** 2, w),
    "exponential_sine": lambda: sd.Loss(sp.exp(2 * y) * sp.sin(x), [x, y]),
    "polynomial": lambda: sd.Loss(x**2 - 6 * x + 5, x),
    "neuron": lambda: sd.Loss(sd.sigmoid(w * x + b), [w, b]),
    "line": lambda: sd.Loss((y - (w * x + b)) ** 2, [w, b], samples=[x, y]),
    "logistic": lambda: sd.Loss(sp.log(1 + sp.exp(-y * (w * x + b))), [w, b], samples=[x, y]),
    "hinge": lambda: sd.Loss(sp.Max(0, 1 - y * w * x), w, samples=[x, y]),
    "softmax": lambda: sd.Loss(
        sp.Sum(sp.log(sp.Sum(sp.exp(score(k)), (k, 0, K - 1))) - score(C[i]), (i, 0, n - 1)) / n, V
    ),
    "ridge_indexed": lambda: sd.Loss(
        sp.Sum((Y[i] - LINE) ** 2, (i, 0, n - 1)) / n + lam * sp.Sum(W[j] ** 2, (j, 0, d - 1)), W
    ),
    "ridge_matrix": lambda: sd.Loss((A * v - t).T * (A * v - t) / n + lam * v.T * v, v),
    "network_matrix": network,
    "rosenbrock": lambda: sd.Loss((1 - x) ** 2 + 100 * (y - x**2) ** 2, [x, y]),
    "rosenbrock_indexed": lambda: sd.Loss(
        sp.Sum(100 * (P[i + 1] - P[i] ** 2) ** 2 + (1 - P[i]) ** 2, (i, 0, n - 2)), P
    ),
    "power_of_itself": lambda: sd.Loss(POSITIVE**POSITIVE),
    "pieces": lambda: sd.Loss(sp.Piecewise((x**2, x < 1), (2 * x - 1, True)), x),
}
SPANISH = ("parabola", "line", "ridge_matrix", "hinge")
CASES = [(name, "en") for name in LOSSES] + [(name, "es") for name in SPANISH]


def document(name: str, language: str) -> sd.Document:
    """One loss in all three details."""
    loss = LOSSES[name]()
    parts: list[Any] = []
    for detail in DETAILS:
        parts += [f"# {detail}", loss.derivation(detail=detail, language=language)]
    return sd.Document(name.replace("_", " "), parts, language)


@pytest.fixture(scope="module")
def documents() -> dict[tuple[str, str], sd.Document]:
    return {case: document(*case) for case in CASES}


@pytest.mark.parametrize("case", CASES, ids="-".join)
@pytest.mark.parametrize("suffix", ["txt", "md"])
def test_derivations_read_as_they_did(documents, case, suffix):
    # a change that nobody looked at; SYMDESCENT_UPDATE_GOLDEN=1 writes what is to be looked at
    name, language = case
    path = GOLDEN / f"derivation_{name}{'' if language == 'en' else '_' + language}.{suffix}"
    written = (documents[case].text() if suffix == "txt" else documents[case].markdown()).rstrip("\n") + "\n"
    if os.environ.get("SYMDESCENT_UPDATE_GOLDEN"):
        path.write_text(written, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == written


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_pages_are_well_formed_and_need_nothing_from_elsewhere(documents, case):
    page = documents[case].html()
    root = ET.fromstring(page.removeprefix("<!DOCTYPE html>").strip())
    assert not any("script" in element.tag for element in root.iter())
    assert "http://" not in page.replace("http://www.w3.org/1998/Math/MathML", "") and "https://" not in page
    assert len([element for element in root.iter() if element.tag.endswith("math")]) > 5


@pytest.mark.latex
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_documents_compile_with_pdflatex(documents, tmp_path):
    # one document of all of them: LaTeX that only looks right
    everything = sd.Document("Derivations", [part for each in documents.values() for part in each.parts])
    path = everything.save(tmp_path / "derivations.tex")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", path.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
    )
    assert done.returncode == 0, done.stdout[-3000:]
    wide = [line for line in done.stdout.splitlines() if line.startswith("Overfull \\hbox")]
    assert not [line for line in wide if float(line.split("(")[1].split("pt")[0]) > 20], wide


@pytest.mark.latex
def test_katex_accepts_every_formula(documents):
    shown = [part for each in documents.values() for part in each.latex().split("$$")[1::2]]
    assert len(shown) > 100
    assert_katex_accepts(shown)
