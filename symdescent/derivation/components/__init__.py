"""Derivations in scalar and index notation: the rules of differentiation, one line at a time."""
