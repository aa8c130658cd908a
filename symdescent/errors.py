"""What can go wrong, by kind: every error names the thing, says why, and what to do instead."""


class SymdescentError(Exception):
    """The root of all errors raised on purpose by symdescent.

    >>> import symdescent as sd
    >>> try:
    ...     sd.Loss("(w - 3)**2")
    ... except sd.SymdescentError as error:
    ...     print(type(error).__name__)
    StatementError
    """


class StatementError(SymdescentError, ValueError):
    """The loss, its parameters or its samples cannot be taken as they are stated.

    >>> import sympy as sp, symdescent as sd
    >>> sd.Loss(sp.Symbol("w")**2, sp.Symbol("v"))
    Traceback (most recent call last):
        ...
    symdescent.errors.StatementError: ...
    """


class UnsupportedError(StatementError, NotImplementedError):
    """The statement is sound mathematics, but not mathematics that symdescent handles.

    >>> import sympy as sp, symdescent as sd
    >>> sd.Loss(sp.besselj(0, sp.Symbol("w")))
    Traceback (most recent call last):
        ...
    symdescent.errors.UnsupportedError: ...
    """


class DataError(SymdescentError, ValueError):
    """Parameter values or data do not fit the statement: missing, of the wrong shape, out of range.

    >>> import sympy as sp, symdescent as sd
    >>> w, x = sp.symbols("w x")
    >>> sd.Loss((w - x)**2, w, samples=x).compile().value(1.0)
    Traceback (most recent call last):
        ...
    symdescent.errors.DataError: ...
    """


class KinkError(SymdescentError, ArithmeticError):
    """The loss has no derivative at the point, and the loss was stated with ``kinks="raise"``.

    >>> import sympy as sp, symdescent as sd
    >>> sd.Loss(sp.Abs(sp.Symbol("w")), kinks="raise").compile().gradient(0.0)
    Traceback (most recent call last):
        ...
    symdescent.errors.KinkError: ...
    """


class VerificationError(SymdescentError, RuntimeError):
    """A result contradicted its own statement: a defect in symdescent, reported instead of a wrong answer.

    >>> import symdescent as sd
    >>> issubclass(sd.VerificationError, sd.SymdescentError)
    True
    """
