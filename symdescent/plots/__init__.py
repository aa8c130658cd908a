"""Pictures of losses and descents, by Matplotlib; every function takes and returns an `Axes`."""

from symdescent.plots.contours import contours
from symdescent.plots.curve import curve

__all__ = ["contours", "curve"]
