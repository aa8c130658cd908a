"""Sphinx configuration: every page is executed while it is built, and a warning ends the build.

From a clean checkout: pip install -e ".[docs]" && sphinx-build -W -b html docs docs/_build/html
"""

import os
import sys
from pathlib import Path

# found before any page is executed: otherwise the first picture says on stderr that a font cache is being built
import matplotlib.font_manager  # noqa: F401

import symdescent

sys.path.insert(0, str(Path(__file__).parent / "extensions"))
sys.dont_write_bytecode = True  # a build leaves nothing beside the sources

project = "symdescent"
author = "The symdescent developers"
copyright = author
version = release = symdescent.__version__

extensions = [
    "myst_nb",  # Markdown pages, whose code cells are run
    "sphinx.ext.autodoc",
    "cells",  # of docs/extensions, as the next
    "reference",
]
exclude_patterns = ["_build", "jupyter", "**/.ipynb_checkpoints"]

# -- pages that are executed -------------------------------------------------------------------------------------------

nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_execution_in_temp = True  # what a cell writes does not stay between the pages
nb_output_stderr = "warn"  # a warning inside a page is a warning of the build
nb_merge_streams = True
# the pages run in the Python that builds them, whatever kernels the user has installed
os.environ["JUPYTER_PATH"] = str(Path(__file__).parent / "jupyter")
os.environ.pop("MPLBACKEND", None)  # pictures are shown by the notebooks' own backend, whatever the shell prefers
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])  # and its commands
os.environ["PYTHONWARNINGS"] = "default"  # kernels inherit it: IPython hides deprecations in imported modules otherwise
os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # a remark of the kernel's debugger, on stderr

myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3  # [links](page.md#heading), as on a forge

# -- looks -------------------------------------------------------------------------------------------------------------

html_theme = "furo"
html_title = f"symdescent {release}"
html_static_path = ["static"]
html_css_files = ["manual.css"]
html_copy_source = False
html_show_sourcelink = False
pygments_style = "friendly"
pygments_dark_style = "monokai"

# -- reference ---------------------------------------------------------------------------------------------------------

autodoc_default_options = {"exclude-members": "page, title"}  # with which other rooms write a page
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 96
default_role = "py:obj"  # `Loss` in a docstring is a link where there is such a thing, and code where there is not
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(?!symdescent\.).*")]  # short names, and what other packages document
