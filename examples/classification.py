"""Softmax regression: three classes of points, from the loss to a classifier, with what each step of it costs.

The scores of a point are linear in its features; the loss is the cross-entropy of their softmax, with a small penalty
that keeps the weights bounded.
"""

import numpy as np
import sympy as sp

import symdescent as sd

# The data: three clouds, and a last feature that is always 1, whose weights are the biases.
random = np.random.default_rng(0)
centres = np.array([[0.0, 2.0], [2.0, -1.0], [-2.0, -1.0]])
classes = np.repeat(np.arange(3), 60)
points = np.column_stack([centres[classes] + random.normal(0, 0.9, (180, 2)), np.ones(180)])
order = random.permutation(180)
training, testing = order[:120], order[120:]

# State: n samples of d features, K classes; c[i] is the class of sample i, counted from 0.
n, d, K = sp.symbols("n d K", integer=True, positive=True)
i, j, k = sp.symbols("i j k", integer=True)
X, W, c = sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("W", shape=(d, K)), sp.IndexedBase("c", shape=(n,))
scores = sp.Sum(X[i, j] * W[j, k], (j, 0, d - 1))
entropy = sp.Sum(sd.losses.cross_entropy(scores, c[i], (k, 0, K - 1)), (i, 0, n - 1)) / n
loss = sd.Loss(entropy + sd.losses.l2(W) / 1000, W)

# Derive and check, at random numbers.
print("gradient", loss.gradient[W])
check = loss.check()
print("check   ", "passed" if check.passed else check)

# Descend by batches of ten, with early stopping.
data = {"X": points[training], "c": classes[training]}
fitted = loss.descend(
    {"W": np.zeros((3, 3))}, data, sd.Adam(0.05), batch_size=10, epochs=200, validation=0.2, patience=20, seed=0
)
print(f"descent  {fitted.nit} steps: {fitted.message}")

# Predict: the class with the largest score.
for name, part in (("training", training), ("testing", testing)):
    predicted = np.argmax(points[part] @ fitted.params["W"], axis=1)
    print(f"{name:8} {np.mean(predicted == classes[part]):.1%} right")
