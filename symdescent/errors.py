"""What can go wrong, by kind: every error names the thing, says why, and what to do instead."""


class SymdescentError(Exception):
    """The root of all errors raised on purpose by symdescent."""


class StatementError(SymdescentError, ValueError):
    """The loss, its parameters or its samples cannot be taken as they are stated."""


class UnsupportedError(StatementError, NotImplementedError):
    """The statement is sound mathematics, but not mathematics that symdescent handles."""


class DataError(SymdescentError, ValueError):
    """Parameter values or data do not fit the statement: missing, of the wrong shape, out of range."""


class KinkError(SymdescentError, ArithmeticError):
    """The loss has no derivative at the point, and the loss was stated with ``kinks="raise"``."""


class VerificationError(SymdescentError, RuntimeError):
    """A result contradicted its own statement: a defect in symdescent, reported instead of a wrong answer."""
