"""Every way out of the house: motion files, pictures, films, and the one HTML viewer that all pages share.

Parts of a page (tables, notes, sections) are in `atm.export.page`, charts in `atm.export.charts`, single pictures in
`atm.export.render` and films in `atm.export.video`.
"""

from atm.export.charts import line_chart
from atm.export.files import SUFFIXES, check_suffix, save_motion
from atm.export.npz import MotionFile, load_motion
from atm.export.page import page
from atm.export.viewer import COLOURS, Highlight, MotionView, Pane, viewer_html

__all__ = [
    "COLOURS",
    "SUFFIXES",
    "Highlight",
    "MotionFile",
    "MotionView",
    "Pane",
    "check_suffix",
    "line_chart",
    "load_motion",
    "page",
    "save_motion",
    "viewer_html",
]
