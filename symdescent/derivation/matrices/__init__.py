"""Derivations in matrix notation, by differentials."""
