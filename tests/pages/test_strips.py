"""Film strips: one panel per pose, darker with time; sheets of several, as a picture and as vectors."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from atm.pages.strips import FOOTER, GAP, GUTTER, PANEL, PRINTED, Strip, film_strip, strips_image, strips_svg

SVG = "{http://www.w3.org/2000/svg}"


def test_a_film_strip_is_as_wide_as_its_poses_and_darkens(walk):
    strip = film_strip(walk, 4, panel=(100, 200))
    assert strip.width == 400
    luminance = np.asarray(strip.convert("L")).astype(float)
    darkness = [(255 - luminance[:, i * 100 : (i + 1) * 100])[:180].sum() for i in range(4)]
    assert darkness == sorted(darkness)


def test_a_film_strip_of_a_short_motion_has_one_panel_per_frame(walk):
    assert film_strip(walk[:2], 8, panel=(100, 200)).width == 200
    with pytest.raises(ValueError, match="at least 1 pose"):
        film_strip(walk, 0)


def test_a_sheet_has_one_row_per_strip_at_print_size(walk):
    sheet = strips_image([Strip("generated", walk, "blue"), Strip("real", walk, "red")], 3)
    assert sheet.width == PRINTED * (GUTTER + 3 * PANEL[0])
    assert sheet.height == 2 * PRINTED * (PANEL[1] + FOOTER + GAP)


def test_the_vector_sheet_has_the_poses_names_and_seconds_of_the_strips(walk):
    """Frames 0, 20, 39 of 40 at 20 a second; a clip from frame 20 on shows 1.0 s to 1.9 or 2.0 s."""
    strips = [Strip("generated & co", walk, "blue", "walks <forward>"), Strip("clip", walk, "red", span=(20, 40))]
    drawing = ElementTree.fromstring(strips_svg(strips, 3))
    texts = ["".join(text.itertext()) for text in drawing.iter(f"{SVG}text")]
    assert texts[:2] == ["generated & co", "walks <forward>"]
    seconds = [float(text.removesuffix(" s")) for text in texts if re.fullmatch(r"[0-9.]+ s", text)]
    assert seconds == pytest.approx([0, 1, 1.95, 1, 1.5, 1.95], abs=0.051)
    assert len(list(drawing.iter(f"{SVG}rect"))) == 2  # the paper, and the mark below the clip


def test_poses_darken_with_time_in_the_vector_sheet(walk):
    """The last pose has the colour itself; the one before it is mixed with white."""
    drawing = strips_svg([Strip("generated", walk, "blue")], 2)
    assert "#3f78c3" in drawing
    poses = drawing.split("<g transform")[2:]
    assert "#3f78c3" in poses[1] and "#3f78c3" not in poses[0]


def test_all_strips_of_a_sheet_have_one_scale(walk):
    """A figure of half the size is drawn half as high beside one of full size."""
    small = 0.5 * walk
    drawing = ElementTree.fromstring(strips_svg([Strip("full", walk[:1]), Strip("half", small[:1])], 1))
    heights = []
    for row in list(drawing)[1:]:
        paths = row.iter(f"{SVG}path")
        next(paths)  # the shadow
        ends = [re.findall(r"[ML]([-0-9.]+) ([-0-9.]+)", path.get("d")) for path in paths]
        heights.append(np.ptp([float(y) for path in ends for _, y in path]))
    assert heights[1] / heights[0] == pytest.approx(0.5, abs=0.12)  # limbs are as thick as ever


def test_no_strip_and_a_span_outside_are_refused(walk):
    with pytest.raises(ValueError, match="at least 1 strip"):
        strips_svg([])
    with pytest.raises(ValueError, match="30:41 is no span of the 40 frames of 'clip'"):
        strips_image([Strip("clip", walk, span=(30, 41))])
