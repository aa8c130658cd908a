"""Stochastic and mini-batch descent: against NumPy loops written by hand, and against the mathematics of estimates."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import symdescent as sd
from symdescent.errors import DataError, StatementError, UnsupportedError
from symdescent.optimizers import schedules

n, d, K, q = sp.symbols("n d K q", integer=True, positive=True)
i, j, k = sp.symbols("i j k", integer=True)
w, b, x, y, lam = sp.symbols("w b x y lambda")
X, Y, W = sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("y", shape=(n,)), sp.IndexedBase("w", shape=(d,))
A, T, V = sp.MatrixSymbol("A", n, d), sp.MatrixSymbol("T", n, 1), sp.MatrixSymbol("v", d, 1)
RANDOM = np.random.default_rng(3)
N, D = 23, 4
XS, TARGETS = RANDOM.normal(size=(N, D)), RANDOM.normal(size=N)
LABELS = RANDOM.integers(0, 3, N)
START = RANDOM.normal(size=D)
SLOW = {"gtol": 0, "xtol": 0, "ftol": 0}


def orders(shuffle, seed, count=N):
    """The order of the samples, epoch by epoch."""
    random = np.random.default_rng(seed)
    while True:
        if shuffle == "replacement":
            yield random.integers(0, count, count)
        elif shuffle:
            yield random.permutation(count)
        else:
            yield np.arange(count)


def batches(size, shuffle, seed, drop_last=False, count=N):
    for order in orders(shuffle, seed, count):
        for first in range(0, count, size):
            batch = order[first : first + size]
            if len(batch) == size or not drop_last:
                yield batch


def line_gradient(p, batch):
    residual = TARGETS[batch] - p[0] * XS[batch, 0] - p[1]
    return np.array([-2 * np.mean(residual * XS[batch, 0]) + 0.6 * p[0], -2 * np.mean(residual)])


def square_gradient(p, batch):
    return 2 * XS[batch].T @ (XS[batch] @ p - TARGETS[batch]) / len(batch)


def sum_gradient(p, batch):
    # the sum over all samples is estimated, so the batch's is scaled up
    return N / len(batch) * 2 * XS[batch].T @ (XS[batch] @ p - TARGETS[batch]) + 0.4 * p


def softmax_gradient(p, batch):
    scores = XS[batch] @ p.reshape(D, 3)
    share = np.exp(scores - scores.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    share[np.arange(len(batch)), LABELS[batch]] -= 1
    return (XS[batch].T @ share / len(batch)).ravel()


def offset_gradient(p, batch):
    weights, offsets = p[: 3 * D].reshape(D, 3), p[3 * D :]
    scores = XS[batch] @ weights + offsets
    share = np.exp(scores - scores.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    share[np.arange(len(batch)), LABELS[batch]] -= 1
    return np.concatenate([(XS[batch].T @ share / len(batch)).ravel(), share.mean(axis=0)])


inner = sp.Sum(X[i, j] * W[j], (j, 0, d - 1)) - Y[i]
B, C, L = sp.IndexedBase("B", shape=(d, K)), sp.IndexedBase("c", shape=(n,)), sp.Sum
score = L(X[i, j] * B[j, k], (j, 0, d - 1))
OFFSET = sp.IndexedBase("o", shape=(K,))
shifted = score + OFFSET[k]
CASES = {
    "scalars": (
        sd.Loss((y - w * x - b) ** 2 + lam * w**2, [w, b], samples=[x, y]),
        {"w": START[0], "b": START[1]},
        {"x": XS[:, 0], "y": TARGETS, "lambda": 0.3},
        line_gradient,
    ),
    "indexed mean": (sd.Loss(L(inner**2, (i, 0, n - 1)) / n, W), START, {"X": XS, "y": TARGETS}, square_gradient),
    "indexed sum": (
        sd.Loss(L(inner**2, (i, 0, n - 1)) + L(W[j] ** 2, (j, 0, d - 1)) / 5, W),
        START,
        {"X": XS, "y": TARGETS},
        sum_gradient,
    ),
    "matrices": (sd.Loss((A * V - T).T * (A * V - T) / n, V), START, {"A": XS, "T": TARGETS}, square_gradient),
    "softmax with offsets": (
        sd.Loss(L(sd.logsumexp(shifted, (k, 0, K - 1)) - shifted.subs(k, C[i]), (i, 0, n - 1)) / n, [B, OFFSET]),
        {"B": RANDOM.normal(size=(D, 3)), "o": RANDOM.normal(size=3)},
        {"X": XS, "c": LABELS},
        offset_gradient,
    ),
    "softmax": (
        sd.Loss(L(sd.logsumexp(score, (k, 0, K - 1)) - L(X[i, j] * B[j, C[i]], (j, 0, d - 1)), (i, 0, n - 1)) / n, B),
        RANDOM.normal(size=(D, 3)),
        {"X": XS, "c": LABELS},
        softmax_gradient,
    ),
}


def flat(start):
    parts = list(start.values()) if isinstance(start, dict) else [start]
    return np.concatenate([np.ravel(part).astype(float) for part in parts])


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    ("size", "shuffle", "drop_last"),
    [
        (1, True, False),
        (5, True, False),
        (5, True, True),
        (7, False, False),
        (4, "replacement", False),
        (N, True, False),
    ],
)
def test_batches_are_those_of_a_numpy_loop(name, size, shuffle, drop_last):
    # a batch that straddles epochs, a short one that is scaled as a whole one, an order that is not the seed's
    loss, start, data, gradient = CASES[name]
    rate, steps = 0.002, 60
    point, drawn = flat(start), batches(size, shuffle and (shuffle if size < N else False), 17, drop_last)
    for _, batch in zip(range(steps), drawn, strict=False):
        point = point - rate * gradient(point, batch)
    options = {"batch_size": size, "shuffle": shuffle, "drop_last": drop_last, "seed": 17, "steps": steps}
    found = loss.descend(start, data, sd.GradientDescent(rate), **options)
    np.testing.assert_allclose(found.x, point, rtol=1e-11)
    assert found.nit == steps
    per_epoch = N // size if drop_last else -(-N // size)
    assert len(found.epochs) == steps // per_epoch


@pytest.mark.parametrize("name", CASES)
def test_the_mean_of_all_batches_is_the_gradient(name):
    # an estimate with a bias: weights of short batches, the n of a mean, a regulariser that is counted by the batch
    loss, start, data, _ = CASES[name]
    compiled = loss.compile()
    bound = compiled.bind(start, data)
    whole, parts = compiled.evaluate(bound)
    from symdescent.binding import Bound
    from symdescent.notation.batches import COUNT, FIRST, ORDER

    order, estimates, values = RANDOM.permutation(N), [], []
    for one in range(N):
        at = Bound(bound.parameters, {**bound.data, ORDER: order}, {**bound.extents, FIRST: one, COUNT: 1})
        value, gradient = compiled.batch_kernels.value_and_gradient(at)
        values.append(value)
        estimates.append(np.concatenate([np.ravel(g) for g in gradient.values()]))
    assert np.mean(values) == pytest.approx(whole, rel=1e-12)
    np.testing.assert_allclose(
        np.mean(estimates, axis=0), np.concatenate([np.ravel(g) for g in parts.values()]), rtol=1e-11, atol=1e-13
    )


S = sp.IndexedBase("S", shape=(n, n))
Z, U, M = sp.IndexedBase("z", shape=(n,)), sp.IndexedBase("u", shape=(q,)), sp.IndexedBase("m", shape=(n,))
BATCHED = {
    "square data": sd.Loss(L(L(S[i, j] * Z[j], (j, 0, n - 1)) ** 2, (i, 0, n - 1)), Z),
    "a sum over classes outside": sd.Loss(L(L((X[i, j] - W[j]) ** 2, (i, 0, n - 1)), (j, 0, d - 1)) / n, W),
    "two sums over the samples": sd.Loss(L(inner**2, (i, 0, n - 1)) / n + 3 * L(Y[i] * W[0], (i, 0, n - 1)) / n, W),
    "entries by position": sd.Loss(L((Y[i] - U[M[i]]) ** 2, (i, 0, n - 1)), U),
    "neighbours in time": sd.Loss(L((Y[i + 1] - b * Y[i]) ** 2, (i, 0, n - 2)) / (n - 1), b),
    "a parameter for each sample": sd.Loss(L((Y[i] - Z[i]) ** 2 + Z[i] ** 4, (i, 0, n - 1)) / n, Z),
    "textbook indices": sd.Loss(L((Y[i] - b) ** 2, (i, 1, n)) / n, b, first_index=1),
}
GIVEN = {"S": RANDOM.normal(size=(N, N)), "X": XS, "y": TARGETS, "m": RANDOM.integers(0, 6, N)}


@pytest.mark.parametrize("name", BATCHED)
def test_which_sums_are_over_samples(name):
    # the wrong sum is restricted, or one too few: the mean over all single samples is then another number
    loss = BATCHED[name]
    compiled = loss.compile()
    lengths = {"z": N, "u": 6, "w": D}
    names = [str(p) for p in loss.statement.parameters]
    start = {p: RANDOM.normal(size=lengths[p]) if p in lengths else 0.7 for p in names}
    wanted = {str(c): GIVEN[str(c)] for c in loss.statement.constants if str(c) in GIVEN}
    bound = compiled.bind(start, wanted)
    from symdescent.binding import Bound
    from symdescent.notation.batches import COUNT, FIRST, ORDER

    count = compiled.sample_count(bound)
    assert count == (N - 1 if name == "neighbours in time" else N)
    values = [
        compiled.batch_kernels.value(
            Bound(bound.parameters, {**bound.data, ORDER: np.arange(count)}, {**bound.extents, FIRST: one, COUNT: 1})
        )
        for one in range(count)
    ]
    assert np.mean(values) == pytest.approx(compiled.evaluate(bound)[0], rel=1e-12)
    assert len(set(values)) > 1
    loss.descend(start, wanted, sd.GradientDescent(1e-4), batch_size=5, epochs=2)


mean = L((Y[i] - b) ** 2, (i, 0, n - 1)) / n
REFUSED = {
    "no data": (sd.Loss((w - 3) ** 2, w), {}, "no samples"),
    "a written-out loss": (
        sd.Loss(sp.Add(*((w - number) ** 2 for number in range(500))), w),
        {},
        "written out|no samples",
    ),
    "the root of a mean": (sd.Loss(sp.sqrt(mean), b), {"y": TARGETS}, "not linear in its sum over samples"),
    "a mean times a mean": (
        sd.Loss(mean * L(Y[i] * b, (i, 0, n - 1)) / n, b),
        {"y": TARGETS},
        "not linear in its sum over samples",
    ),
    "a mean and its root": (sd.Loss(mean + sp.sqrt(mean), b), {"y": TARGETS}, "not linear"),
    "coordinates only": (sd.Loss(L((W[j + 1] - W[j]) ** 2, (j, 0, d - 2)), W), {}, "no samples"),
    "two kinds of samples": (
        sd.Loss(mean + L((U[j] - b) ** 2, (j, 0, q - 1)) / q, b),
        {"y": TARGETS, "u": TARGETS[:5]},
        "several sums over data",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_losses_without_batches_are_refused(name):
    loss, data, message = REFUSED[name]
    start = np.ones(D) if "w" in map(str, loss.statement.parameters) and "coordinates" in name else 1.0
    with pytest.raises(UnsupportedError, match=message):
        loss.descend(start, data, batch_size=2)


LINE, LINE_START, LINE_DATA, _ = CASES["scalars"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batch_size": 0}, StatementError, "batch_size=0 is not a number of samples: give a whole number from 1"),
        ({"batch_size": 2.5}, StatementError, r"batch_size=2\.5 is not a number of samples"),
        ({"batch_size": True}, StatementError, "batch_size=True"),
        ({"batch_size": N + 1}, DataError, f"batch_size={N + 1} is more than the {N} samples"),
        ({"batch_size": 20, "validation": 0.5}, DataError, "more than the 11 samples that there are beside those held"),
        ({"batch_size": 2, "shuffle": "yes"}, StatementError, "shuffle='yes' is not one of"),
        ({"batch_size": 2, "seed": "a"}, StatementError, "seed='a' is no seed"),
        ({"batch_size": 2, "steps": 3, "epochs": 3}, StatementError, "are both given: give one"),
        ({"validation": 1.0}, StatementError, r"validation=1\.0 is not a share"),
        ({"validation": 0.99}, DataError, "holds out all"),
        ({"patience": 3}, StatementError, "waits for a validation loss"),
        ({"validation": 0.2, "patience": 0}, StatementError, "patience=0"),
        ({"batch_size": 2, "epochs": -1}, StatementError, "epochs=-1 is not a number of epochs"),
        ({"batch_size": 2, "optimizer": sd.NelderMead()}, StatementError, "needs all samples"),
        ({"batch_size": 2, "optimizer": sd.GradientDescent(sd.Backtracking())}, StatementError, "needs all samples"),
    ],
)
def test_options_that_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        LINE.descend(LINE_START, LINE_DATA, **options)


def test_no_samples_at_all():
    with pytest.raises(DataError, match="no samples"):
        LINE.descend(LINE_START, {"x": [], "y": [], "lambda": 0.1}, batch_size=1)


def test_the_same_seed_is_the_same_run_and_another_is_another():
    runs = [LINE.descend(LINE_START, LINE_DATA, batch_size=3, epochs=4, seed=seed) for seed in (5, 5, 6)]
    assert runs[0].x.tobytes() == runs[1].x.tobytes() and runs[0].history.tobytes() == runs[1].history.tobytes()
    assert runs[0].x.tobytes() != runs[2].x.tobytes()
    generator = LINE.descend(LINE_START, LINE_DATA, batch_size=3, epochs=4, seed=np.random.default_rng(5))
    assert generator.x.tobytes() == runs[0].x.tobytes()


def test_data_are_read_where_they_are(monkeypatch):
    # shuffling that copies: read-only, strided and float32 arrays would be given up for copies
    wide = np.zeros((N, 6), dtype=np.float32)
    wide[:, ::2][:, :3] = XS[:, :3]
    view = wide[:, ::2]
    view.flags.writeable = False
    loss = CASES["indexed mean"][0]
    found = loss.descend(
        np.zeros(3), {"X": view, "y": TARGETS}, sd.GradientDescent(0.01), batch_size=4, epochs=3, seed=2
    )
    copied = loss.descend(
        np.zeros(3),
        {"X": np.array(view, dtype=float), "y": TARGETS},
        sd.GradientDescent(0.01),
        batch_size=4,
        epochs=3,
        seed=2,
    )
    np.testing.assert_allclose(found.x, copied.x, rtol=1e-12)
    assert found.run.fixed()[found.run.made.data.index(loss.statement.constants[0])].base is not None
    assert any(np.shares_memory(part, wide) for part in found.run.fixed() if isinstance(part, np.ndarray))


def test_epochs_are_told_with_their_mean_loss():
    # the mean of the batches' means instead of the samples', or the loss after the step
    found = LINE.descend(LINE_START, LINE_DATA, sd.GradientDescent(1e-12), batch_size=5, epochs=3, seed=0)
    whole = LINE.compile().value(LINE_START, LINE_DATA)
    np.testing.assert_allclose(found.epochs["loss"], whole, rtol=1e-9)
    assert found.epochs["epoch"].tolist() == [1, 2, 3]
    assert np.isnan(found.epochs["validation"]).all()
    assert found.fun == pytest.approx(LINE.compile().value(found.params, LINE_DATA), rel=1e-14)


def test_many_short_epochs_are_drawn_at_once_without_another_result():
    # the block in which orders are drawn must not show
    short = {"x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 7.0], "lambda": 0.0}
    found = LINE.descend(LINE_START, short, sd.GradientDescent(1e-4), batch_size=2, epochs=30_000, seed=4)
    assert found.nit == 60_000 and found.epochs["epoch"][0] == 1
    assert len(found.epochs) <= 4096 + 1 and np.all(np.diff(found.epochs["epoch"]) == np.diff(found.epochs["epoch"])[0])
    point, xs, ys = flat(LINE_START), np.array(short["x"]), np.array(short["y"])
    for _, batch in zip(range(500), batches(2, True, 4, count=3), strict=False):
        residual = ys[batch] - point[0] * xs[batch] - point[1]
        point = point - 1e-4 * np.array([-2 * np.mean(residual * xs[batch]), -2 * np.mean(residual)])
    begun = LINE.descend(LINE_START, short, sd.GradientDescent(1e-4), batch_size=2, steps=500, seed=4)
    np.testing.assert_allclose(begun.x, point, rtol=1e-12)


def test_the_regression_of_the_seeds():
    # y = 2x for x = 0..9: slope 2; the step cut to 95 % in epochs without improvement
    data = {"x": np.arange(10.0), "y": 2 * np.arange(10.0), "lambda": 0.0}
    loss = sd.Loss((y - w * x) ** 2, w, samples=[x, y])
    data.pop("lambda")
    rule = sd.GradientDescent(schedules.plateau(0.005, factor=0.95))
    found = loss.descend(0.0, data, rule, batch_size=1, epochs=60, seed=1)
    assert found.params["w"] == pytest.approx(2.0, abs=1e-9)


# -- held-out samples -------------------------------------------------------------------------------------------------


def test_a_part_is_held_out():
    # a held-out sample that is trained on, or a validation loss of something else
    found = LINE.descend(
        LINE_START, LINE_DATA, sd.GradientDescent(0.05), batch_size=4, epochs=6, seed=9, validation=0.3
    )
    mixed = np.random.default_rng(9).permutation(N)
    held = round(0.3 * N)
    out, kept = np.sort(mixed[:held]), np.sort(mixed[held:])
    random = np.random.default_rng(9)
    random.permutation(N)
    point, losses = flat(LINE_START), []
    for _ in range(6):
        order = kept[random.permutation(len(kept))]
        for first in range(0, len(kept), 4):
            point = point - 0.05 * line_gradient(point, order[first : first + 4])
        residual = TARGETS[out] - point[0] * XS[out, 0] - point[1]
        losses.append((np.mean(residual**2) + 0.3 * point[0] ** 2, point))
    np.testing.assert_allclose(found.epochs["validation"], [loss for loss, _ in losses], rtol=1e-12)
    np.testing.assert_allclose(found.x, min(losses, key=lambda each: each[0])[1], rtol=1e-12)


def test_early_stopping_returns_the_best():
    # overfitted: the last parameters instead of the best, or a patience that is off by one
    features = RANDOM.normal(size=(20, 15))
    targets = features[:, 0] + 0.5 * RANDOM.normal(size=20)
    loss = CASES["indexed mean"][0]
    apart = {"X": RANDOM.normal(size=(50, 15)), "y": RANDOM.normal(size=50)}
    apart["y"] = apart["X"][:, 0] + 0.5 * apart["y"]
    found = loss.descend(
        np.zeros(15), {"X": features, "y": targets}, sd.GradientDescent(0.05), batch_size=5, epochs=2000,
        validation=apart, patience=7,
    )  # fmt: skip
    curve = found.epochs["validation"]
    best = int(np.argmin(curve))
    assert len(curve) == best + 1 + 7 and not found.success
    assert "not lower for 7 epochs" in found.message
    assert loss.compile().value(found.x, apart) == pytest.approx(curve[best], rel=1e-12)


def test_tests_of_epochs():
    # tolerances that are compared with the noise of single batches
    data = {"x": np.arange(1.0, 6.0), "y": 2 * np.arange(1.0, 6.0) + 1, "lambda": 0.0}
    rule = sd.GradientDescent(0.02)
    met = LINE.descend(LINE_START, data, rule, batch_size=1, epochs=5000, gtol=1e-6)
    assert met.success and np.abs(met.jac).max() <= 1e-6 and "gtol" in met.message
    met = LINE.descend(LINE_START, data, rule, batch_size=1, epochs=5000, xtol=1e-7)
    assert met.success and "xtol" in met.message
    met = LINE.descend(LINE_START, data, rule, batch_size=1, epochs=5000, ftol=1e-9)
    assert met.success and "ftol" in met.message
    assert LINE.descend(LINE_START, data, rule, batch_size=1, epochs=5).message.startswith("all 25 steps are done")


def test_a_batch_that_is_not_a_number_stops_the_descent():
    spoiled = {**LINE_DATA, "x": np.where(np.arange(N) == 11, np.nan, XS[:, 0])}
    with pytest.raises(DataError, match=r"x contains nan at 11"):
        LINE.descend(LINE_START, spoiled, batch_size=1, epochs=1)
    steep = LINE.descend(LINE_START, LINE_DATA, sd.GradientDescent(100.0), batch_size=1, epochs=50)
    assert not steep.success and "learning rate" in steep.message and np.isfinite(steep.x).all()


def test_the_worked_table_shows_the_batches():
    # a table of full steps beside a descent by batches
    found = LINE.descend(LINE_START, LINE_DATA, sd.Adam(0.1), batch_size=4, epochs=3, seed=8)
    rows = found.table(first=9).rows
    for row, (value_w, value_b) in zip(
        rows, zip(found.trajectory["w"], found.trajectory["b"], strict=True), strict=False
    ):
        assert row.parameters[w] == pytest.approx(value_w, rel=1e-12)
        assert row.parameters[b] == pytest.approx(value_b, rel=1e-12)
    assert [row.loss for row in rows] == pytest.approx(list(found.history["loss"][: len(rows)]), rel=1e-12)


def test_an_epoch_whose_validation_loss_is_undefined_is_not_the_best(monkeypatch):
    # NaN, with which nothing compares as lower: it would stay the best for ever
    from symdescent.descent.samples import Samples

    loss = sd.Loss((y - w) ** 2, w, samples=[y])
    data, options = {"y": np.full(4, 0.5)}, {"batch_size": 2, "validation": 0.25}
    curve = iter([np.nan, 3.0, 2.0, 4.0])
    monkeypatch.setattr(Samples, "validation_loss", lambda self, parameters, bound: next(curve))
    found = loss.descend(1.0, data, sd.GradientDescent(0.1), epochs=4, **options)
    monkeypatch.undo()
    third = loss.descend(1.0, data, sd.GradientDescent(0.1), epochs=3, **options)
    assert np.isnan(found.epochs["validation"][0])
    assert found.x[0] == third.run.params()[w]


def test_an_interrupt_between_the_kernel_and_its_epochs_loses_nothing(monkeypatch):
    # the kernel would write the next epoch's loss behind the array's end, and rows would be missing
    from symdescent import kernels

    whole = LINE.descend(LINE_START, LINE_DATA, sd.Adam(0.05), batch_size=4, epochs=9, seed=3)
    call, calls = kernels.call, []

    def interrupted(function, *arguments):
        result = call(function, *arguments)
        calls.append(function)
        if len(calls) == 2 and function.__name__ == "descend":
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(kernels, "call", interrupted)
    begun = LINE.descend(LINE_START, LINE_DATA, sd.Adam(0.05), batch_size=4, epochs=9, seed=3)
    monkeypatch.setattr(kernels, "call", call)
    assert "interrupted" in begun.message and 0 < begun.nit < whole.nit
    further = begun.resume(steps=whole.nit - begun.nit)
    assert further.x.tobytes() == whole.x.tobytes()
    assert further.epochs.tobytes() == whole.epochs.tobytes()
