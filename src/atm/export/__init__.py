"""Every way out of the house: motion files, pictures, films, and the one HTML viewer that all pages share."""

from atm.export.files import SUFFIXES, save_motion
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
    "load_motion",
    "page",
    "save_motion",
    "viewer_html",
]
