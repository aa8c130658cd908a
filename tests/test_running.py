"""Descents under way: going on, files, callbacks, interrupts, many starts; each against one plain long run."""

from __future__ import annotations

import json
import sys
import threading
import time
import zipfile
from types import ModuleType

import numpy as np
import pytest
import sympy as sp

import symdescent as sd
from symdescent.descent import store
from symdescent.errors import DataError, StatementError, UnsupportedError
from symdescent.optimizers import Total, g, t, theta

n, d = sp.symbols("n d", integer=True, positive=True)
i, j = sp.symbols("i j", integer=True)
w, b, x, y = sp.symbols("w b x y")
X, Y, W = sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("y", shape=(n,)), sp.IndexedBase("w", shape=(d,))
A, V = sp.MatrixSymbol("A", n, d), sp.MatrixSymbol("v", d, 1)
T = sp.MatrixSymbol("T", n, 1)
RANDOM = np.random.default_rng(5)
XS, YS = RANDOM.normal(size=(29, 3)), RANDOM.normal(size=29)
own = sd.UpdateRule(
    "normed", [(g_n := sp.Symbol("g_n"), sp.sqrt(Total(g**2))), (theta, theta - g / (g_n * sp.sqrt(t)))], ()
)
inner = sp.Sum(X[i, j] * W[j], (j, 0, d - 1)) - Y[i]

LOSSES = {
    "scalars": (sd.Loss((1 - x) ** 2 + 100 * (y - x**2) ** 2, [x, y]), {"x": -1.2, "y": 1.0}, None),
    "samples": (sd.Loss((y - w * x - b) ** 2, [w, b], samples=[x, y]), {"w": 0.0, "b": 0.5}, {"x": XS[:, 0], "y": YS}),
    "indexed": (sd.Loss(sp.Sum(inner**2, (i, 0, n - 1)) / n, W), {"w": np.ones(3)}, {"X": XS, "y": YS}),
    "matrices": (sd.Loss((A * V - T).T * (A * V - T) / n, V), {"v": np.ones(3)}, {"A": XS, "T": YS}),
    "written out": (
        sd.Loss(sp.Add(*((w - sp.Rational(k, 7)) ** 2 * (1 + b**2) for k in range(130))), [w, b]),
        {"w": 1.0, "b": 2.0},
        None,
    ),
}
SEARCHES = {
    "exact": sd.GradientDescent(sd.ExactLineSearch()),
    "backtracking": sd.GradientDescent(sd.Backtracking()),
    "Newton": sd.Newton(),
    "NelderMead": sd.NelderMead(xatol=1e-12, fatol=1e-12),
    "RandomSearch": sd.RandomSearch(),
}
RULES = {
    "Adam": sd.Adam(0.01),
    "Momentum": sd.Momentum(1e-4),
    "plateau": sd.RMSprop(sd.schedules.plateau(0.01, factor=0.5)),
    "schedule and clipping": sd.NAdam(sd.schedules.cosine(0.05, 60)).with_clipping(norm=0.5),
    "one's own": own,
}
SAMPLED = {"batch_size": 4, "seed": 3}


def same(one, other):
    """Equal in every bit of every record."""
    assert one.x.tobytes() == other.x.tobytes()
    assert (one.nit, one.nfev, one.njev, one.fun, one.status) == (
        other.nit,
        other.nfev,
        other.njev,
        other.fun,
        other.status,
    )
    assert one.history.tobytes() == other.history.tobytes()
    assert one.epochs.tobytes() == other.epochs.tobytes()
    assert one.trajectory.keys() == other.trajectory.keys()
    for name in one.trajectory:
        np.testing.assert_array_equal(one.trajectory[name], other.trajectory[name])


CASES = [(loss, rule, {}) for loss in LOSSES for rule in [*RULES, *SEARCHES]]
CASES += [(loss, rule, SAMPLED) for loss in ("samples", "indexed", "matrices") for rule in RULES]


@pytest.mark.parametrize(("name", "optimizer", "options"), CASES, ids=lambda each: str(each)[:14])
def test_going_on_is_one_long_run_to_the_bit(name, optimizer, options, tmp_path):
    # a state, a step number, an order of samples or a row of the history that is begun anew; likewise through a file
    loss, start, data = LOSSES[name]
    options = {**options, "optimizer": (RULES | SEARCHES)[optimizer]}
    if optimizer not in ("NelderMead", "RandomSearch"):
        options["gtol"] = 0
    whole = loss.descend(start, data, steps=41, **options)
    begun = loss.descend(start, data, steps=13, **options)
    before = begun.x.copy()
    further = begun.resume(steps=10)
    if whole.nit < 41:  # it met a test of its own
        assert further.resume(steps=18).x.tobytes() == whole.x.tobytes()
        return
    same(further.resume(steps=18), whole)
    assert begun.x.tobytes() == before.tobytes() and begun.nit == 13
    same(further.resume(steps=18), whole)

    path = tmp_path / "descent.npz"
    further.save(path)
    loaded = sd.load(path, data)
    same(loaded, further)
    assert loaded.optimizer == further.optimizer and loaded.message == further.message
    same(loaded.resume(steps=18), whole)


def test_long_histories_go_on_too():
    # the stride of the history
    loss, start, _ = LOSSES["scalars"]
    rule = sd.GradientDescent(1e-4)
    whole = loss.descend(start, optimizer=rule, steps=20_011, gtol=0)
    same(loss.descend(start, optimizer=rule, steps=9_001, gtol=0).resume(steps=11_010), whole)


def test_going_on_after_a_tolerance():
    loss, start, _ = LOSSES["scalars"]
    met = loss.descend(start, optimizer=sd.Adam(0.02), steps=50_000, gtol=1e-2)
    assert met.success
    finer = met.resume(steps=50_000, gtol=1e-8)
    at_once = loss.descend(start, optimizer=sd.Adam(0.02), steps=50_000, gtol=1e-8)
    assert finer.x.tobytes() == at_once.x.tobytes() and finer.nit == at_once.nit
    assert finer.history.tobytes() == at_once.history.tobytes()


def test_going_on_after_a_tolerance_with_a_thinned_history():
    # the row that is due next, where not every step has one
    loss, start, _ = LOSSES["scalars"]
    met = loss.descend(start, optimizer=sd.GradientDescent(1e-3), steps=10**6, gtol=1e-3)
    assert met.success and met.nit > 3 * 4096
    finer = met.resume(steps=10**6, gtol=1e-5)
    at_once = loss.descend(start, optimizer=sd.GradientDescent(1e-3), steps=10**6, gtol=1e-5)
    assert finer.nit == at_once.nit and finer.history.tobytes() == at_once.history.tobytes()


def test_epochs_go_on():
    loss, start, data = LOSSES["samples"]
    options = {"optimizer": sd.Adam(0.1), "batch_size": 4, "validation": 0.25, "patience": 50, "seed": 1}
    same(
        loss.descend(start, data, epochs=3, **options).resume(epochs=4), loss.descend(start, data, epochs=7, **options)
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "say how far to go on"),
        ({"steps": -1}, "steps=-1"),
        ({"steps": 3, "batch_size": 2}, "batch_size cannot be chosen anew"),
        ({"steps": 3, "epochs": 4}, "are both given"),
    ],
)
def test_going_on_wrongly(arguments, message):
    loss, start, _ = LOSSES["scalars"]
    with pytest.raises(StatementError, match=message):
        loss.descend(start, steps=2).resume(**arguments)


def test_lbfgs_cannot_go_on():
    loss, start, _ = LOSSES["scalars"]
    with pytest.raises(UnsupportedError, match=r"begin anew from descent\.params"):
        loss.descend(start, optimizer=sd.LBFGS(), steps=3).resume(steps=3)


# -- files ------------------------------------------------------------------------------------------------------------


def test_what_a_file_holds_and_does_not(tmp_path):
    # data in the file, or pickles; a result that cannot be looked at without the data
    loss, start, data = LOSSES["indexed"]
    done = loss.descend(start, data, sd.AdamW(0.1), batch_size=5, epochs=3)
    done.save(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        described = json.loads(archive.read("descent.json"))
        assert all(name == "descent.json" or name.endswith(".npy") for name in archive.namelist())
        assert all(np.load(archive.open(name), allow_pickle=False).shape != XS.shape for name in archive.namelist()[1:])
    assert described["kind"] == "FirstOrder"
    seen = sd.load(tmp_path / "a.npz")
    same(seen, done)
    assert repr(seen) == repr(done)
    with pytest.raises(StatementError, match=r"load it with sd\.load\(path, data\)"):
        seen.resume(steps=1)
    with pytest.raises(DataError, match="had 29 samples, and these are 28"):
        sd.load(tmp_path / "a.npz", {"X": XS[1:], "y": YS[1:]})
    with pytest.raises(DataError, match="y has no value"):
        sd.load(tmp_path / "a.npz", {"X": XS})


def test_validation_data_are_given_again(tmp_path):
    loss, start, data = LOSSES["samples"]
    apart = {"x": XS[:9, 1], "y": YS[:9]}
    options = {"optimizer": sd.Adam(0.1), "batch_size": 4, "validation": apart}
    loss.descend(start, data, epochs=3, **options).save(tmp_path / "a")
    with pytest.raises(DataError, match="give them again with validation"):
        sd.load(tmp_path / "a", data)
    further = sd.load(tmp_path / "a", data, validation=apart).resume(epochs=2)
    same(further, loss.descend(start, data, epochs=5, **options))


def test_files_that_are_none(tmp_path):
    loss, start, _ = LOSSES["scalars"]
    good, bad = tmp_path / "good", tmp_path / "bad"
    loss.descend(start, steps=3).save(good)
    whole = good.read_bytes()
    bad.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="not a descent that was saved, or is damaged"):
        sd.load(bad)
    bad.write_text("hello")
    with pytest.raises(DataError, match="not a descent"):
        sd.load(bad)
    with pytest.raises(FileNotFoundError):
        sd.load(tmp_path / "nowhere")
    for wrong, message in [
        ({"format": 99}, "written by another version"),
        ({"kind": "Simplex"}, "kind Simplex"),
        ({"statement": {"expression": ["eval", "1"]}}, "where an expression should be"),
        ({"statement": {"expression": ["class", "os"]}}, "where an expression should be"),
    ]:
        with zipfile.ZipFile(good) as archive, zipfile.ZipFile(bad, "w") as other:
            for name in archive.namelist():
                content = archive.read(name)
                if name == "descent.json":
                    described = json.loads(content)
                    content = json.dumps({**described, **wrong}).encode()
                other.writestr(name, content)
        with pytest.raises(DataError, match=message):
            sd.load(bad)


EXPRESSIONS = [
    sp.Rational(2, 3) * x + sp.pi * sp.E - sp.Float("0.1", 30) ** y,
    sp.Piecewise((x, (x > 1) & sp.Ne(y, 2)), (sp.Max(x, y, 3), True)),
    sp.Sum(sp.Abs(X[i, j] - W[j]) ** sp.Rational(3, 2), (j, 0, d - 1), (i, 1, n)),
    sp.Trace(A.T * A) + sp.log(sp.Determinant(A.T * A)),
    (A * V - T).T * (A * V - T) / n,
    sp.Symbol("a", positive=True) + sp.Symbol("a") + sp.Dummy("z"),
    sd.softplus(x) + sd.softmax(x, y, w) + sp.KroneckerDelta(i, j) + sp.Mod(x, 3) + sp.atan2(x, y),
    A.applyfunc(sp.tanh),
    sp.exp(sp.Integer(10) ** 40) + sp.oo,
]


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=lambda each: str(each)[:20])
def test_expressions_in_files(expression):
    # assumptions, precision, order or classes that are lost on the way
    text = json.dumps(store.to_json(expression))
    back = store.from_json(json.loads(text))
    dummies = dict(zip(sorted(expression.atoms(sp.Dummy), key=str), sorted(back.atoms(sp.Dummy), key=str), strict=True))
    assert back == expression.xreplace(dummies)
    assert type(back) is type(expression)


@pytest.mark.parametrize(
    "tree", [["Symbol"], ["symbol"], [], 3, None, ["import", "os"], ["integer", "x"], ["Add", ["eval"]], {"a": 1}]
)
def test_trees_that_are_no_expressions(tree):
    with pytest.raises(DataError, match="where an expression should be"):
        store.from_json(tree)


# -- watching ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "optimizer", [sd.GradientDescent(1e-4), sd.Newton(learning_rate=0.1), sd.LBFGS(), sd.NelderMead()], ids=str
)
def test_a_callback_sees_the_steps_and_may_stop(optimizer):
    # a callback that is called once too often, with arrays that go on changing, or whose answer is not heard
    loss, start, _ = LOSSES["scalars"]
    seen = []

    def watch(progress):
        seen.append(progress)
        return len(seen) == 4

    stopped = loss.descend(start, optimizer=optimizer, steps=100, callback=watch, callback_every=2)
    assert [each.nit for each in seen] == [2, 4, 6, 8]
    assert stopped.nit == 8 and not stopped.success and "callback stopped the descent after 8 steps" in stopped.message
    assert seen[-1].params["x"] == pytest.approx(stopped.params["x"], rel=1e-15)
    assert len({each.params["x"] for each in seen}) > 1


def test_a_callback_may_raise():
    loss, start, _ = LOSSES["scalars"]

    def enough(progress):
        raise StopIteration

    assert loss.descend(start, steps=100, optimizer=sd.GradientDescent(1e-4), callback=enough).nit < 100

    def wrong(progress):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        loss.descend(start, steps=100, optimizer=sd.GradientDescent(1e-4), callback=wrong)
    with pytest.raises(StatementError, match="cannot be called"):
        loss.descend(start, callback=3)


def test_watching_changes_nothing():
    loss, start, data = LOSSES["indexed"]
    plain = loss.descend(start, data, sd.Adam(0.1), batch_size=4, epochs=9)
    watched = loss.descend(
        start, data, sd.Adam(0.1), batch_size=4, epochs=9, callback=lambda each: None, callback_every=3
    )
    same(plain, watched)


def test_progress_is_shown_without_tqdm(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    loss, start, _ = LOSSES["scalars"]
    loss.descend(start, steps=40, optimizer=sd.GradientDescent(1e-4), progress=True)
    captured = capsys.readouterr()
    assert "40 of 40 steps, loss " in captured.err and captured.out == ""


def test_progress_is_shown_with_tqdm(monkeypatch):
    # a stand-in with tqdm's interface: what is told must add up to the steps
    told = {"n": 0, "closed": False}

    class Bar:
        def __init__(self, total, unit):
            told["total"], self.n = total, 0

        def set_postfix(self, loss, refresh):
            told["loss"] = loss

        def update(self, more):
            self.n += more
            told["n"] = self.n

        def close(self):
            told["closed"] = True

    module = ModuleType("tqdm.auto")
    module.tqdm = Bar
    monkeypatch.setitem(sys.modules, "tqdm", ModuleType("tqdm"))
    monkeypatch.setitem(sys.modules, "tqdm.auto", module)
    loss, start, _ = LOSSES["scalars"]
    loss.descend(start, steps=4000, optimizer=sd.GradientDescent(1e-5), progress=True)
    assert told["n"] == told["total"] == 4000 and told["closed"] and float(told["loss"]) > 0


@pytest.mark.parametrize(
    "optimizer", [sd.Newton(learning_rate=1e-9), sd.RandomSearch(shrink=1.0)], ids=["Newton", "random"]
)
def test_an_interrupt_keeps_what_python_steps_reached(optimizer):
    import _thread

    loss, start, _ = LOSSES["scalars"]
    timer = threading.Timer(0.5, _thread.interrupt_main)
    timer.start()
    stopped = loss.descend(start, optimizer=optimizer, steps=10**9)
    timer.join()
    assert stopped.nit > 10 and "interrupted" in stopped.message and np.isfinite(stopped.x).all()
    assert stopped.fun == pytest.approx(loss.compile().value(stopped.params), rel=1e-14)


# -- many starts ------------------------------------------------------------------------------------------------------

WELLS = sd.Loss((w**2 - 1) ** 2 + w / 10, w)


def test_many_starts_are_the_single_descents():
    starts = np.linspace(-2, 2, 9)
    many = WELLS.descend_many(starts, optimizer=sd.Momentum(0.02), threads=2)
    for start, one in zip(starts, many, strict=True):
        same(one, WELLS.descend(start, optimizer=sd.Momentum(0.02)))
    assert many.best.fun == min(each.fun for each in many)
    low, high = many.minima()
    roots = np.roots([4, 0, -4, 0.1])
    assert low.params["w"] == pytest.approx(roots.min(), abs=1e-5) and high.params["w"] == pytest.approx(
        roots.max(), abs=1e-5
    )
    assert sorted(low.starts + high.starts) == list(range(9))
    assert "9 descents, 9 of which met a tolerance" in repr(many) and "from 1 start)" not in repr(many)[:40]


def test_starts_by_name():
    loss, _, data = LOSSES["indexed"]
    starts = RANDOM.normal(size=(3, 3))
    many = loss.descend_many({"w": starts}, data, sd.Adam(0.05), steps=30)
    for start, one in zip(starts, many, strict=True):
        same(one, loss.descend(start, data, sd.Adam(0.05), steps=30))
    both = LOSSES["scalars"][0].descend_many({"x": [0.0, 1.5], "y": [0.0, 2.0]}, optimizer=sd.Newton())
    assert [round(float(each.x[0]), 6) for each in both] == [1.0, 1.0] and len(both.minima()) == 1
    batches = loss.descend_many({"w": starts}, data, sd.Adam(0.05), batch_size=4, epochs=3, seed=2)
    same(batches[1], loss.descend(starts[1], data, sd.Adam(0.05), batch_size=4, epochs=3, seed=2))


@pytest.mark.parametrize(
    ("starts", "message"),
    [([], "no starts"), (3.0, "no sequence of starts"), ({}, "w has no starts"), ({"w": 2.0}, "one start or more")],
)
def test_starts_that_are_none(starts, message):
    with pytest.raises(DataError, match=message):
        WELLS.descend_many(starts)


def test_an_interrupt_ends_all():
    import _thread

    timer = threading.Timer(0.6, _thread.interrupt_main)
    timer.start()
    began = time.perf_counter()
    many = WELLS.descend_many([0.5, -0.5, 2.0], optimizer=sd.GradientDescent(1e-12), steps=10**12, gtol=0)
    timer.join()
    assert time.perf_counter() - began < 30
    assert all("interrupted" in each.message for each in many) and any(each.nit > 0 for each in many)
