"""Pages and pictures for people: HTML pages, the one motion viewer that they share, charts, film strips, films."""

from atm.pages.charts import line_chart
from atm.pages.page import page
from atm.pages.viewer import COLOURS, Highlight, MotionView, Pane, view_data, viewer_html

__all__ = ["COLOURS", "Highlight", "MotionView", "Pane", "line_chart", "page", "view_data", "viewer_html"]
