"""Descents against scikit-learn's solvers, on its data sets: the same minimum, found by another program."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import symdescent as sd

datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is the oracle of these tests")
linear_model = pytest.importorskip("sklearn.linear_model")
metrics = pytest.importorskip("sklearn.metrics")

n, d, K = sp.symbols("n d K", integer=True, positive=True)
i, j, k = sp.symbols("i j k", integer=True)
b, lam = sp.symbols("b lambda")
X, Y, W = sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("y", shape=(n,)), sp.IndexedBase("w", shape=(d,))
V, A, C = sp.IndexedBase("V", shape=(d, K)), sp.IndexedBase("a", shape=(K,)), sp.IndexedBase("c", shape=(n,))
margin = Y[i] * (sp.Sum(X[i, j] * W[j], (j, 0, d - 1)) + b)
penalty = lam * sp.Sum(W[j] ** 2, (j, 0, d - 1))

LOGISTIC = sd.Loss(sp.Sum(sp.log(1 + sp.exp(-margin)), (i, 0, n - 1)) + penalty / 2, [W, b])
RIDGE = sd.Loss(sp.Sum((Y[i] - b - sp.Sum(X[i, j] * W[j], (j, 0, d - 1))) ** 2, (i, 0, n - 1)) + penalty, [W, b])
score = sp.Sum(X[i, j] * V[j, k], (j, 0, d - 1)) + A[k]
own = score.subs(k, C[i])
SOFTMAX = sd.Loss(
    sp.Sum(sd.logsumexp(score, (k, 0, K - 1)) - own, (i, 0, n - 1))
    + sp.Sum(V[j, k] ** 2, (j, 0, d - 1), (k, 0, K - 1)) * lam / 2,
    [V, A],
)


def standardised(features):
    spread = features.std(axis=0)
    return (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1.0)


@pytest.mark.parametrize("optimizer", ["Newton", "LBFGS", "Nesterov"])
def test_logistic_regression_on_the_breast_cancer_set(optimizer):
    features, labels = datasets.load_breast_cancer(return_X_y=True)
    features, signs = standardised(features), np.where(labels == 1, 1.0, -1.0)
    theirs = linear_model.LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(
        features, labels
    )
    rule, steps = {
        "Newton": (sd.Newton(), 50),
        "LBFGS": (sd.LBFGS(memory=20), 1000),
        # the curvature lies between 1 (the penalty) and about 1900
        "Nesterov": (sd.Momentum(6e-4, 0.95, nesterov=True), 20_000),
    }[optimizer]
    start = {"w": np.zeros(features.shape[1]), "b": 0.0}
    ours = LOGISTIC.descend(start, {"X": features, "y": signs, "lambda": 1.0}, rule, steps=steps, gtol=1e-7)
    np.testing.assert_allclose(ours.params["w"], theirs.coef_[0], atol=1e-6)
    assert ours.params["b"] == pytest.approx(theirs.intercept_[0], abs=1e-6)


@pytest.mark.parametrize("optimizer", ["Newton", "exact", "LBFGS"])
def test_ridge_regression_on_the_diabetes_set(optimizer):
    features, targets = datasets.load_diabetes(return_X_y=True)
    features = standardised(features)
    theirs = linear_model.Ridge(alpha=1.0, solver="cholesky").fit(features, targets)
    rule, steps = {
        "Newton": (sd.Newton(learning_rate=1.0), 3),
        "exact": (sd.GradientDescent(sd.ExactLineSearch()), 20_000),
        "LBFGS": (sd.LBFGS(), 2000),
    }[optimizer]
    start = {"w": np.zeros(features.shape[1]), "b": 0.0}
    ours = RIDGE.descend(start, {"X": features, "y": targets, "lambda": 1.0}, rule, steps=steps, gtol=1e-6)
    np.testing.assert_allclose(ours.params["w"], theirs.coef_, rtol=1e-6)
    assert ours.params["b"] == pytest.approx(theirs.intercept_, rel=1e-6)


def test_softmax_regression_on_the_digits():
    features, labels = datasets.load_digits(return_X_y=True)
    features = features / 16.0
    theirs = linear_model.LogisticRegression(C=1.0, tol=1e-8, max_iter=5000).fit(features, labels)
    start = {"V": np.zeros((64, 10)), "a": np.zeros(10)}
    data = {"X": features, "c": labels, "lambda": 1.0}
    ours = SOFTMAX.descend(start, data, sd.LBFGS(), steps=3000, gtol=1e-5)
    scores = features @ ours.params["V"] + ours.params["a"]
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    assert metrics.log_loss(labels, shares) == pytest.approx(
        metrics.log_loss(labels, theirs.predict_proba(features)), rel=1e-6
    )
    batches = SOFTMAX.descend(start, data, sd.Adam(sd.schedules.exponential(0.05, 0.999)), batch_size=64, epochs=200)
    assert batches.fun <= ours.fun * 1.005


def test_stochastic_descent_comes_near_scikit_learns():
    # the same rule with the same constant step, in another order of the samples: the same neighbourhood of the minimum
    features, labels = datasets.load_breast_cancer(return_X_y=True)
    features, signs = standardised(features), np.where(labels == 1, 1.0, -1.0)
    count = len(signs)
    theirs = linear_model.SGDClassifier(
        loss="log_loss",
        penalty="l2",
        alpha=1.0 / count,
        learning_rate="constant",
        eta0=1e-3,
        max_iter=300,
        tol=None,
        random_state=0,
    ).fit(features, labels)
    start = {"w": np.zeros(features.shape[1]), "b": 0.0}
    data = {"X": features, "y": signs, "lambda": 1.0}
    # our loss is a sum: one sample stands for all of them
    ours = LOGISTIC.descend(start, data, sd.GradientDescent(1e-3 / count), batch_size=1, epochs=300)
    reached = LOGISTIC.compile().value({"w": theirs.coef_[0], "b": theirs.intercept_[0]}, data)
    assert ours.fun == pytest.approx(reached, rel=0.01)
