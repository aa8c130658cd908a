"""Exit codes, as `symdescent --help` documents them."""

DONE, WRONG, UNUSABLE, NOT_CONVERGED, DEFECT = range(5)
INTERRUPTED, BROKEN_PIPE = 130, 141  # 128 and the number of the signal, as shells have it
