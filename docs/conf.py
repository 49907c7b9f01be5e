"""Settings of the documentation site; `make docs` builds it."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "extensions"), str(HERE.parent), str(HERE.parent / "kernels")]

import genomamba  # noqa: E402

project = "genomamba"
author = "The genomamba authors"
copyright = author
version = release = genomamba.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc", "generated_pages", "drawn_math"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3

default_role = "py:obj"
# `--option` is no dash, and quotation marks of commands stay as they are typed.
smartquotes = False

html_theme = "furo"
html_title = "genomamba"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_math_renderer = "drawn"
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_preserve_defaults = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
