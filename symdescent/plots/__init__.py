"""Pictures of losses and descents, by Matplotlib; every function takes and returns an `Axes`.

======================== =======================================================================
`curve`                  a loss of one parameter, with path and tangents
`contours`, `surface`    a loss of two parameters, with paths, gradients and velocities
`slice_`                 a plane through many parameters, along chosen or principal directions
`fit`                    a regression over its data
`cost`                   the loss against steps, evaluations or time
`race`, `sweep`          several optimizers on one landscape; learning rates and what they do
`momentum_map`           the convergence rate on a quadratic, over learning rate and momentum
`simplices`              the triangles of Nelder and Mead
`differences`, `taylor`  how exact difference quotients are; the remainder of Taylor's series
======================== =======================================================================

`Loss.plot` and `Descent.plot` choose among them, `Descent.animate` makes films.
"""

from symdescent.plots.animate import Film, animate
from symdescent.plots.check import differences, taylor
from symdescent.plots.choose import plot_descent, plot_loss
from symdescent.plots.contours import contours
from symdescent.plots.cost import cost
from symdescent.plots.curve import curve
from symdescent.plots.fit import fit
from symdescent.plots.momentum import convergence_rate, momentum_map
from symdescent.plots.race import compete, race
from symdescent.plots.simplices import simplices
from symdescent.plots.slices import slice_
from symdescent.plots.surface import surface
from symdescent.plots.sweep import Swept, behaviour, sweep, try_rates

__all__ = [
    "Film",
    "Swept",
    "animate",
    "behaviour",
    "compete",
    "contours",
    "convergence_rate",
    "cost",
    "curve",
    "differences",
    "fit",
    "momentum_map",
    "plot_descent",
    "plot_loss",
    "race",
    "simplices",
    "slice_",
    "surface",
    "sweep",
    "taylor",
    "try_rates",
]
