"""Checking a gradient against witnesses that share nothing with its derivation, and grading one derived by hand."""

from symdescent.check.grade import Grade
from symdescent.check.report import GradientCheck, Row, check

__all__ = ["Grade", "GradientCheck", "Row", "check"]
