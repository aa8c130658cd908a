"""Step-by-step derivations: the rules that carry them out, and the renderers that print them."""
