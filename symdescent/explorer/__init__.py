"""The explorer: a descent to play with, as a page for the browser or as controls in a notebook."""
