"""The HTML viewer: what is on the page, and that nothing else is needed."""

import base64
import gzip
import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from atm.base.errors import InputError
from atm.motion import HUMANML3D
from atm.pages import Highlight, MotionView, Pane, page, viewer_html


def data_of(fragment: str) -> dict:
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', fragment, re.DOTALL)[1])


def joints_of(pane: dict) -> np.ndarray:
    numbers = np.frombuffer(base64.b64decode(pane["joints"]), dtype="<i2")
    return numbers.reshape(-1, HUMANML3D.n_joints, 3) * pane["metres"]


def test_the_page_holds_the_joints_to_half_a_millimetre(walk):
    data = data_of(viewer_html(MotionView("walk", [Pane("baseline", walk)])))
    assert data["panes"][0]["fps"] == 20
    assert np.abs(joints_of(data["panes"][0]) - walk).max() <= 0.5e-3 + 1e-9


def test_a_motion_that_leaves_the_field_gets_a_coarser_unit(walk):
    """16 bits reach 32.767 m in millimetres: at 100 m the unit is 100 / 32767 m."""
    far = walk + np.float32(98.0)
    pane = data_of(viewer_html(MotionView("far", [Pane("", far)])))["panes"][0]
    assert pane["metres"] == pytest.approx(far.max() / 32767)
    assert np.abs(joints_of(pane) - far).max() <= 0.51 * pane["metres"]


def test_a_sentence_cannot_break_out_of_the_page(walk):
    sentence = 'walks </script><script>alert("1")</script><!-- & so on'
    fragment = viewer_html(MotionView(sentence, [Pane(sentence, walk, caption=sentence)]))
    assert data_of(fragment)["panes"][0]["caption"] == sentence
    assert fragment.count("<script") == 1 and "<!--" not in fragment
    assert html.escape(sentence) in page(sentence, [fragment])


def test_highlights_are_spans_with_label_and_colour(walk):
    view = MotionView("", [Pane("", walk, highlights=[(0, 10), Highlight(20, 40, "positive proxy", "#00ff00")])])
    spans = data_of(viewer_html(view))["panes"][0]["highlights"]
    assert spans[0][:2] == [0, 10]
    assert spans[1] == [20, 40, "positive proxy", "#00ff00"]


@pytest.mark.parametrize("span", [(-1, 5), (5, 5), (10, 41)])
def test_a_highlight_outside_the_motion_is_refused(walk, span):
    with pytest.raises(ValueError, match="is no span of the 40 frames"):
        viewer_html(MotionView("", [Pane("", walk, highlights=[span])]))


def test_a_motion_may_begin_later_but_not_before_the_view(walk):
    view = MotionView("", [Pane("a", walk), Pane("b", walk, begins=1.5)], darkens=True)
    data = data_of(viewer_html(view))
    assert [pane["begins"] for pane in data["panes"]] == [0.0, 1.5]
    assert data["darkens"] is True
    with pytest.raises(ValueError, match="'a' must begin at 0 s or later, got -0.5"):
        viewer_html(MotionView("", [Pane("a", walk, begins=-0.5)]))


def test_a_view_without_panes_nan_and_an_unknown_colour_are_refused(walk):
    with pytest.raises(ValueError, match="at least 1 pane"):
        viewer_html(MotionView("", []))
    with pytest.raises(InputError, match="unknown colour 'bleu': did you mean 'blue'"):
        viewer_html(MotionView("", [Pane("", walk, colour="bleu")]))
    with pytest.raises(InputError, match="unknown colour '#12345'"):
        viewer_html(MotionView("", [Pane("", walk, colour="#12345")]))
    walk[0, 0, 0] = np.inf
    with pytest.raises(InputError, match="NaN or infinity"):
        viewer_html(MotionView("", [Pane("", walk)]))


def test_script_and_style_are_on_the_page_once_and_only_where_needed(walk):
    fragment = viewer_html(MotionView("walk", [Pane("", walk)]))
    assert page("two", [fragment, fragment]).count("const atmMotionView") == 1
    assert "const atmMotionView" not in page("none", ["<p>words</p>"])


def test_the_page_asks_no_other_host_for_anything(walk):
    whole = page("walk", [viewer_html(MotionView("walk", [Pane("", walk)]))])
    assert not re.findall(r"https?://|src=|@import|url\(", whole)


def test_without_scripts_the_page_says_what_is_missing(walk):
    assert re.search(
        r"<noscript[^>]*>walk: this moving picture needs JavaScript", viewer_html(MotionView("walk", [Pane("", walk)]))
    )


CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
@pytest.mark.parametrize(("painters", "switches"), [("three|flat", []), ("flat", ["--disable-3d-apis"])])
def test_a_browser_draws_the_page_without_an_error(walk, tmp_path, painters, switches):
    views = [
        MotionView("side by side", [Pane("a", walk), Pane("b", walk, "blue", [(0, 10)])], autoplay=False),
        MotionView("overlaid", [Pane("a", walk, "red"), Pane("b", walk, "blue")], overlaid=True),
    ]
    watch = """<script>
        document.title = "fine";
        onerror = (message) => { document.title = message; };
        addEventListener("unhandledrejection", (event) => { document.title = event.reason; });
    </script>"""
    (tmp_path / "page.html").write_text(page("t", [watch, *map(viewer_html, views)]), encoding="utf-8")
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--window-size=1000,2000", *switches]
    arguments += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=2000", "--dump-dom"]
    run = subprocess.run(
        [CHROMIUM, *arguments, (tmp_path / "page.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "<title>fine</title>" in run.stdout
    assert len(re.findall(rf'data-painter="({painters})"', run.stdout)) == 2
    assert len(re.findall(r"<canvas", run.stdout)) == 3


def test_the_page_carries_three_packed_under_a_quarter_of_a_megabyte(walk):
    whole = page("walk", [viewer_html(MotionView("walk", [Pane("", walk)]))])
    packed = base64.b64decode(re.search(r'const atmThree = "([^"]*)"', whole)[1])
    library = gzip.decompress(packed).decode()
    assert library.startswith("var THREE=") and "SPDX-License-Identifier: MIT" in library
    assert len(whole) < 260_000
