"""Settings of the documentation."""

import re
from importlib.metadata import version as installed

project = "emboscope"
author = "The Emboscope developers"
version = release = installed("emboscope")
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_parser"]
exclude_patterns = ["_build"]
html_theme = "pydata_sphinx_theme"
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False}
html_show_copyright = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_ivar = True


def plain_references(app, what, name, obj, options, lines):
    """Footnotes of a docstring as a list, since their numbers start anew in each; bars as bars."""
    entry = False
    for at, line in enumerate(lines):
        line = re.sub(r"\[(\d+)\]_", r"[\1]", line).replace("|", r"\|")
        begins = re.match(r"\s*\.\. \[\d+\]\s+", line)
        entry = bool(begins) or (entry and line.startswith("   "))
        if begins:
            line = re.sub(r"^\s*\.\. \[(\d+)\]\s+", r"* [\1] ", line)
        elif entry:
            line = "  " + line.strip()
        lines[at] = line


def hide_inherited_requests(app, what, name, obj, skip, options):
    """scikit-learn adds set_fit_request and the like to every estimator."""
    return True if re.fullmatch(r"set_\w+_request", name) else skip


def setup(app):
    """Register both."""
    app.connect("autodoc-process-docstring", plain_references, priority=400)
    app.connect("autodoc-skip-member", hide_inherited_requests)


suppress_warnings = ["ref.python"]  # fields of one name in several classes
