"""The documentation site: `python -m sphinx -W -b html docs build/site` (CONTRIBUTING.md, "Documentation")."""

import sys
from pathlib import Path

import botan_fast

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import gallery

project = "botan_fast"
author = copyright = "The botan_fast developers"
release = version = botan_fast.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "myst_nb",
    # our own, in docs/_ext
    "commands",
    "docstrings",
    "equations",
    "names",
    "repository_links",
]
root_doc = "index"
templates_path = ["_templates"]
exclude_patterns = ["_build", "_ext", "gallery", "auto_gallery/**.ipynb"]
suppress_warnings = ["config.cache"]  # sphinx_gallery_conf holds functions; nothing is wrong with it

# No network is used: no intersphinx, equations as MathML, every script and font from this site.
default_role = "py:obj"  # `name` in a docstring is a link where there is such a name, and code elsewhere
nitpicky = True  # a role that is written out, such as {py:func}, and every anchor of a page must lead somewhere
nitpick_ignore_regex = [
    ("py:obj", "(?s).*"),
    ("py:(class|exc)", r"(?!botan_fast\b).*"),  # types of other packages, words of napoleon
    # types of signatures that have no page: what is in them stands in the text
    ("py:class", r"botan_fast\.(data\.sample\.SampleMaker|data\.species\.SpeciesOrder|evaluation\.forward\.\w+)"),
    ("py:class", r"botan_fast\.(model\.slabs\.Slabs|ops\.packing\.Packed)"),
]

highlight_language = "text"  # of blocks without one: equations and tables in docstrings; `>>>` is Python anyway
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300  # of a cell, on a machine with other work
nb_execution_in_temp = True  # tutorials write files
nb_merge_streams = True
nb_kernel_rgx_aliases = {".*": "python3"}

autosummary_generate = True
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 88
napoleon_google_docstring = True  # torch's "Args:" stands in a few classes
napoleon_use_param = False
napoleon_use_rtype = False
napoleon_preprocess_types = False

sphinx_gallery_conf = gallery.SETTINGS

html_theme = "pydata_sphinx_theme"
html_title = "botan_fast"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_context = {"default_mode": "auto"}  # light or dark as the system is
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "navbar_persistent": ["search-button"],
    "navbar_end": ["theme-switcher"],
    "navbar_align": "left",
    "footer_start": ["copyright"],
    "footer_end": [],
    "header_links_before_dropdown": 8,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"index": [], "theory": []}

# Links to elsewhere: `python docs/links.py`.
linkcheck_timeout = 10
linkcheck_retries = 2
linkcheck_rate_limit_timeout = 30
linkcheck_anchors = False  # of other sites, which write them by scripts
