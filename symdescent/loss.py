"""`Loss`: what the user holds. It keeps the statement; every verb lives in a room of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sympy as sp

from symdescent.differentiate import Scatter, forward
from symdescent.errors import StatementError
from symdescent.notation.reading import Reader
from symdescent.statement import ARRAYS, Statement, name_of, state

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from symdescent.check import GradientCheck
    from symdescent.compiled import CompiledLoss
    from symdescent.derivation.steps import Derivation
    from symdescent.descent import Descent, Descents
    from symdescent.explorer.notebook import Explorer
    from symdescent.study.critical import CriticalPoints
    from symdescent.study.curvature import Curvature
    from symdescent.study.trace import Trace


class Loss:
    r"""A loss function, stated once in SymPy.

    Parameters
    ----------
    expression
        a scalar expression, in any notation: scalar, per sample, indexed sums, or a 1x1 matrix expression
    parameters
        what to differentiate by: a Symbol, IndexedBase or MatrixSymbol, or several; omitted, all free symbols of a
        loss without arrays
    samples
        symbols that take a new value for each sample; the loss is then the mean (or sum) over the samples
    reduction
        ``"mean"`` (default) or ``"sum"``, over the samples
    first_index
        the index of an array's first entry: 0 (default), or 1 for sums from 1 to n as textbooks write them
    kinks
        the slope where a derivative jumps: ``"min-norm"`` (default, the subgradient of least norm), ``"left"``,
        ``"right"``, or ``"raise"``

    Raises
    ------
    StatementError
        for what is no loss, and `UnsupportedError` for what is one but cannot be handled; both say what to do

    >>> w = sp.Symbol("w")
    >>> Loss((w - 3)**2, w).gradient[w]
    2*w - 6
    """

    def __init__(
        self,
        expression: Any,
        parameters: Any = None,
        *,
        samples: Any = None,
        reduction: str = "mean",
        first_index: int = 0,
        kinks: str = "min-norm",
    ) -> None:
        self.statement: Statement = state(
            expression, parameters, samples=samples, reduction=reduction, first_index=first_index, kinks=kinks
        )

    @property
    def expression(self) -> sp.Expr:
        """The expression as it was stated."""
        return self.statement.expression

    @property
    def parameters(self) -> tuple[Any, ...]:
        """What the loss is differentiated by."""
        return self.statement.parameters

    @property
    def samples(self) -> tuple[Any, ...]:
        """The symbols that take a new value for each sample."""
        return self.statement.samples

    @property
    def constants(self) -> tuple[Any, ...]:
        """The other free symbols and arrays: given with the data, or read off the shapes of arrays."""
        return self.statement.constants

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.statement)

    def __repr__(self) -> str:
        over = f", samples={list(self.samples)}" if self.samples else ""
        try:
            written = str(self.expression)
        except RecursionError:
            written = "<an expression too deep to be printed>"
        return f"Loss({written}, {list(self.parameters)}{over})"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {sp.latex(self.expression)}$"

    # -- derivatives ----------------------------------------------------------------------------------------------

    @cached_property
    def gradient(self) -> Gradient:
        r"""The gradient :math:`\nabla L`, a mapping from each parameter to a SymPy expression.

        For a MatrixSymbol it is a matrix expression of its shape; for an IndexedBase the component at the free
        indices ``loss.gradient.indices[parameter]``. It was compared numerically with the statement.

        >>> x, y = sp.symbols("x y")
        >>> Loss(sp.exp(2*y)*sp.sin(x), [x, y]).gradient
        {x: exp(2*y)*cos(x), y: 2*exp(2*y)*sin(x)}
        """
        statement = self.statement
        gradient = _read_gradient(statement.reader(), statement, statement.scatters())
        from symdescent.check.verify import verify_gradient

        verify_gradient(statement, gradient)
        return gradient

    @cached_property
    def sample_gradient(self) -> Gradient:
        r"""One sample's gradient, in the symbols of the statement.

        >>> w, x, y = sp.symbols("w x y")
        >>> Loss((y - w*x)**2, w, samples=[x, y]).sample_gradient[w]
        -2*x*(-w*x + y)
        """
        if not self.samples:
            raise StatementError("sample_gradient belongs to per-sample losses: state the loss with samples=[…]")
        single = state(
            self.expression, list(self.parameters), first_index=self.statement.first_index, kinks=self.statement.kinks
        )
        gradient = _read_gradient(single.reader(), single, single.scatters())
        from symdescent.check.verify import verify_gradient

        verify_gradient(single, gradient)
        return gradient

    @cached_property
    def hessian(self) -> sp.Matrix:
        r"""The matrix of second derivatives, for scalar parameters.

        >>> a, b = sp.symbols("a b")
        >>> Loss(a**2*b, [a, b]).hessian
        Matrix([
        [2*b, 2*a],
        [2*a,   0]])
        """
        statement = self.statement
        for parameter in self.parameters:
            if isinstance(parameter, ARRAYS):
                raise StatementError(
                    f"the Hessian is formed for scalar parameters, and {parameter} is an array: use "
                    "loss.compile().hessian_vector_product(params, direction, data)"
                )
        graph, reader = statement.graph, statement.reader()
        scatters = statement.scatters(exact_products=True)
        columns = []
        for parameter in self.parameters:
            tangents = forward(
                graph, [s.contribution for s in scatters], {parameter: lambda leaf: graph.one}, statement.kinks
            )
            moved = [
                Scatter(s.parameter, s.places, tangents[s.contribution], s.indices)
                for s in scatters
                if s.contribution in tangents
            ]
            columns.append(
                [
                    _component(reader, statement, [s for s in moved if s.parameter == row], row)
                    for row in self.parameters
                ]
            )
        return sp.Matrix(columns).T

    # -- verbs ----------------------------------------------------------------------------------------------------

    def check(self, at: Any = None, data: Any = None, candidate: Any = None, seed: int = 0) -> GradientCheck:
        """Compare the symbolic gradient with finite differences, complex step and dual numbers; grade a candidate.

        `at` and `data` are drawn from the symbols' assumptions where they are not given. See
        `symdescent.GradientCheck`.

        >>> w, x, y = sp.symbols("w x y")
        >>> loss = Loss((y - w*x)**2, w, samples=[x, y])
        >>> loss.check(at=1.0, data={"x": [1.0, 2.0], "y": [2.0, 4.0]}).passed
        True
        >>> print(loss.check(at=1.0, data={"x": [1.0], "y": [2.0]}, candidate={w: -x*(y - w*x)}).grades["w"])
        wrong by the constant factor 1/2; at w = 1 it gives -1 instead of -2
        """
        from symdescent.check import check

        return check(self, at=at, data=data, candidate=candidate, seed=seed)

    def derivation(
        self, parameter: Any = None, detail: str = "normal", language: str = "en", **options: Any
    ) -> Derivation:
        r"""Derive the gradient step by step, with the name of the rule at each line, every step verified.

        `parameter` chooses one of several; `detail` is ``"brief"`` (the lines one writes on a board), ``"normal"`` (one
        rule a line, at all like places at once) or ``"full"`` (one rule at one place at a time); `language` ``"en"`` or
        ``"es"``. See `symdescent.derivation.derive.derivation` for the other options.

        >>> w = sp.Symbol("w")
        >>> print(Loss((w - 3)**2, w).derivation())
        L = (w − 3)²
        <BLANKLINE>
        dL/dw = d/dw (w − 3)²
              = 2 (w − 3) · d/dw (w − 3)    power rule, chain rule
              = 2 (w − 3)                   difference rule
              = 2 w − 6                     simplify
        """
        from symdescent.derivation.derive import derivation

        return derivation(self, parameter, detail, language, **options)

    def compile(self) -> CompiledLoss:
        """Compile value, gradient and Hessian-vector product into fused loops. See `CompiledLoss`.

        >>> w, x, y = sp.symbols("w x y")
        >>> Loss((y - w*x)**2, w, samples=[x, y]).compile().value(1.0, {"x": [1.0, 2.0], "y": [2.0, 4.0]})
        2.5
        """
        return self._compiled

    @cached_property
    def _compiled(self) -> CompiledLoss:
        from symdescent.compiled import CompiledLoss

        return CompiledLoss(self.statement)

    def lambdify(self) -> Any:
        """Return the value and the gradient as plain NumPy functions that broadcast over the scalar parameters.

        >>> w = sp.Symbol("w")
        >>> value, gradient = Loss((w - 3)**2, w).lambdify()
        >>> value([0.0, 3.0, 6.0]), gradient([0.0, 3.0, 6.0])
        (array([9., 0., 9.]), array([-6.,  0.,  6.]))
        """
        from symdescent.codegen.arrays import lambdify

        return lambdify(self.statement)

    def trace(self, at: Any, data: Any = None, mode: str = "reverse", language: str = "en") -> Trace:
        r"""The elementary program ``v1 = …, v2 = …`` at a point, with its tangents or adjoints.

        ``mode="forward"`` carries dual numbers from line to line, ``mode="reverse"`` (default) sweeps back:
        :math:`\bar v_a = \sum_r \bar v_r\, \partial v_r / \partial v_a`. See `symdescent.study.trace.Trace`.

        >>> x = sp.Symbol("x")
        >>> Loss(sp.exp(2*x), x).trace(0).gradient
        {x: 2.0}
        """
        from symdescent.study.trace import trace

        return trace(self, at, data, mode, language)

    def critical_points(self, language: str = "en") -> CriticalPoints:
        r"""The points with :math:`\nabla L = 0` (or where the slope jumps through 0), classified, with derivation.

        See `symdescent.study.critical.CriticalPoints`; what cannot be solved is said to be so.

        >>> x = sp.Symbol("x")
        >>> list(Loss(x**3 - 3*x, x).critical_points())
        [CriticalPoint(x = -1: local maximum, L = 2), CriticalPoint(x = 1: local minimum, L = -2)]
        """
        from symdescent.study.critical import critical_points

        return critical_points(self, language)

    def curvature(self, at: Any, data: Any = None, language: str = "en") -> Curvature:
        r"""The Hessian at a point, its eigenvalues, and the largest stable step :math:`2/\lambda_{\max}`.

        See `symdescent.study.curvature.Curvature`.

        >>> w = sp.Symbol("w")
        >>> Loss((w - 3)**2, w).curvature(0).largest_step
        1.0
        """
        from symdescent.study.curvature import curvature

        return curvature(self, at, data, language)

    def descend(self, start: Any, data: Any = None, optimizer: Any = None, **options: Any) -> Descent:
        """Minimise the loss from a start, in a compiled loop. See `symdescent.descent.descend`.

        >>> from symdescent import GradientDescent
        >>> w = sp.Symbol("w")
        >>> Loss((w - 3)**2, w).descend(0.0, optimizer=GradientDescent(0.5))
        success after 1 step...: the gradient is as small as asked for (gtol)
          loss 0, largest gradient component 0
          w = 3
        """
        from symdescent.descent import descend

        return descend(self._compiled, start, data, optimizer, **options)

    def descend_many(self, starts: Any, data: Any = None, optimizer: Any = None, **options: Any) -> Descents:
        """Descend from many starts in parallel threads. See `symdescent.descent.descend_many`.

        >>> from symdescent import GradientDescent
        >>> w = sp.Symbol("w")
        >>> runs = Loss((w - 3)**2, w).descend_many([0.0, 5.0], optimizer=GradientDescent(0.1))
        >>> [round(run.params["w"], 6) for run in runs]
        [3.0, 3.0]
        """
        from symdescent.descent import descend_many

        return descend_many(self._compiled, starts, data, optimizer, **options)

    def plot(self, at: Any = None, data: Any = None, kind: str | None = None, ax: Any = None, **options: Any) -> Axes:
        """Draw the loss: its curve, its contours, or a slice through the point `at`; a regression over its data.

        `kind` is ``"curve"``, ``"contours"``, ``"surface"``, ``"slice"`` or ``"fit"``; `options` are those of the
        function of that name in `symdescent.plots`. Raises `StatementError` for a picture that the loss does not fit.

        >>> from matplotlib.figure import Figure
        >>> x, y = sp.symbols("x y")
        >>> ax = Loss(x**2 + 10*y**2, [x, y]).plot(ax=Figure().add_subplot())
        >>> ax.get_xlabel(), ax.get_ylabel()
        ('$x$', '$y$')
        """
        from symdescent.plots.choose import plot_loss

        return plot_loss(self, at, data, kind, ax, **options)

    def code(self, target: str = "numba", optimizer: Any = None) -> str:
        """Return a standalone module with the loss, its gradient and a descent. See `symdescent.export.code.code`.

        >>> w = sp.Symbol("w")
        >>> "def value_and_gradient(w):" in Loss((w - 3)**2, w).code("python")
        True
        """
        from symdescent.export.code import code

        return code(self, target, optimizer)

    def explore(self, start: Any = None, data: Any = None, optimizers: Any = None, **options: Any) -> Explorer:
        """Explore the descent in a notebook, with sliders. See `symdescent.explorer.notebook.explore`.

        >>> w = sp.Symbol("w")
        >>> explorer = Loss((w - 3)**2, w).explore(start=0.0)
        >>> "learning_rate" in explorer.controls
        True
        """
        from symdescent.explorer.notebook import explore

        return explore(self, start, data, optimizers, **options)

    def explore_html(
        self, path: str | Path, start: Any = None, data: Any = None, optimizers: Any = None, **options: Any
    ) -> Path:
        """Write one page, which needs no network, to explore the descent in a browser.

        See `symdescent.explorer.page.explore_html`.

        >>> import tempfile
        >>> w = sp.Symbol("w")
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     Loss((w - 3)**2, w).explore_html(f"{directory}/page.html", start=0.0).name
        'page.html'
        """
        from symdescent.explorer.page import explore_html

        return explore_html(self, path, start, data, optimizers, **options)


def _restored(kind: type[Loss], statement: Statement) -> Loss:
    loss = kind.__new__(kind)
    loss.statement = statement
    return loss


class Gradient(Mapping[Any, Any]):
    """A gradient: a mapping from each parameter (or its name) to the derivative with respect to it.

    `indices` maps each IndexedBase to the free indices of its component.

    >>> n, i, x = sp.Symbol("n", integer=True), sp.Symbol("i", integer=True), sp.IndexedBase("x")
    >>> gradient = Loss(sp.Sum(x[i]**3, (i, 0, n - 1)), x).gradient
    >>> gradient["x"], gradient.indices[x]
    (3*x[i]**2, (i,))
    """

    def __init__(self, components: Mapping[Any, Any], indices: Mapping[Any, tuple[sp.Expr, ...]]) -> None:
        self._components = dict(components)
        self.indices = dict(indices)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            for parameter in self._components:
                if name_of(parameter) == key:
                    return self._components[parameter]
        elif key in self._components:
            return self._components[key]
        known = ", ".join(map(name_of, self._components))
        raise KeyError(f"{key} is not a parameter of the loss; its parameters are {known}")

    def __iter__(self) -> Iterator[Any]:
        return iter(self._components)

    def __len__(self) -> int:
        return len(self._components)

    def __repr__(self) -> str:
        return repr(self._components)

    def _repr_latex_(self) -> str:
        lines = []
        for parameter, component in self.items():
            places = self.indices.get(parameter)
            shown = parameter[places] if places else parameter
            symbol = r"\nabla_{%s} L" if isinstance(parameter, sp.MatrixSymbol) else r"\frac{\partial L}{\partial %s}"
            lines.append(f"{symbol % sp.latex(shown)} &= {sp.latex(component)}")
        return "$$\\begin{aligned}" + " \\\\\n".join(lines) + "\\end{aligned}$$"


def _read_gradient(reader: Reader, statement: Statement, scatters: list[Scatter]) -> Gradient:
    components, indices = {}, {}
    of: dict[Any, list[Scatter]] = {parameter: [] for parameter in statement.parameters}
    for scatter in scatters:
        of[scatter.parameter].append(scatter)
    for parameter, own in of.items():
        if isinstance(parameter, sp.IndexedBase):
            indices[parameter] = component_indices(statement, parameter)
        components[parameter] = _component(reader, statement, own, parameter, indices.get(parameter, ()))
    return Gradient(components, indices)


def _component(
    reader: Reader, statement: Statement, scatters: list[Scatter], parameter: Any, keys: tuple[Any, ...] = ()
) -> Any:
    if isinstance(parameter, sp.MatrixSymbol):
        from symdescent.notation.raising import raise_gradient

        return raise_gradient(reader, scatters, parameter, parameter.shape)
    return reader.component(scatters, keys, statement.shape(parameter))


def component_indices(statement: Statement, parameter: Any) -> tuple[sp.Expr, ...]:
    """The free indices of an array's component: named as the statement indexes it, distinct from each other."""
    chosen: list[sp.Expr] = []
    letters = (sp.Symbol(letter, integer=True) for letter in "jklmpqrstuv")
    taken = {name_of(thing) for thing in (*statement.parameters, *statement.constants, *statement.samples)}
    for axis in range(statement.lowering.ranks[parameter]):
        name = statement.lowering.axis_names.get((parameter, axis))
        if name is None or name in chosen or isinstance(name, sp.Idx):
            name = next(letter for letter in letters if letter not in chosen and letter.name not in taken)
        chosen.append(name)
    return tuple(chosen)
