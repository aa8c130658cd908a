"""Searches that are stated once, in the subset of Python from which programs in other languages are translated.

Descents call these functions or compile them; exported programs carry their text. In all of them

* ``loss`` is a loss on one flat vector: ``loss.value(x)``; ``loss.gradient(x, slope)``, which returns the loss and
  leaves the gradient in `slope`; ``loss.curvature(x, direction, product)``, which leaves the Hessian times a direction;
* ``algebra`` is `symdescent.methods.algebra`, whose functions are loops, or `symdescent.methods.arrays`, the same ones
  by NumPy;
* the annotations say what an argument is where languages differ (`symdescent.methods.kinds`).

The subset: assignments, ``while``, ``for … in range``, ``if``, ``break``; a call of another function stands alone on
the right of an assignment; a whole vector may be assigned (``tried[:] = x + step * direction``); one ``return``, at
the end.
"""
