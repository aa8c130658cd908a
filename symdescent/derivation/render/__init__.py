"""Renderers of pages and formulas: LaTeX, Markdown, HTML, text. They print layout boxes and decide nothing."""
