"""Notation: lowering statements to the graph, and reading the graph back as expressions or matrices."""
