"""Pictures: left is left, near is large, and the whole motion is in view."""

import time

import numpy as np
import pytest

from atm.motion import HUMANML3D
from atm.pages.camera import MARGIN, camera_around
from atm.pages.render import render_frames
from atm.pages.viewer import SIDE_COLOURS


def pixels_of(picture, colour: str) -> np.ndarray:
    """(n, 2) columns and rows whose colour is nearly this one."""
    wanted = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)])
    rows, columns = np.nonzero(np.abs(np.asarray(picture).astype(int) - wanted).max(-1) < 12)
    return np.stack([columns, rows], axis=1)


def test_a_figure_that_faces_us_has_its_left_on_our_right(walk):
    picture = next(render_frames(walk))
    left, right = pixels_of(picture, SIDE_COLOURS["left"]), pixels_of(picture, SIDE_COLOURS["right"])
    assert len(left) > 200 and len(right) > 200
    assert left[:, 0].mean() > right[:, 0].mean()
    # The left arm is up: it is the highest of the coloured limbs.
    assert left[:, 1].min() < right[:, 1].min() - 50


def test_a_figure_that_walks_forward_comes_nearer(walk):
    """Height in the picture of limbs that do not change: at the end the figure is nearer to the camera, so larger."""
    heights = []
    for picture in (first_and_last := [*render_frames(np.concatenate([walk[:1], walk[-1:]]))]):
        heights.append(np.ptp(pixels_of(picture, SIDE_COLOURS["left"])[:, 1]))
    assert len(first_and_last) == 2
    assert heights[1] > heights[0]


def test_the_camera_has_all_points_in_view_and_is_no_further_than_it_must():
    points = np.random.default_rng(0).normal(size=(200, 3)) * [3, 1, 0.5] + [10, 1, -4]
    camera = camera_around(points, 640, 360)
    xy, _ = camera.project(points)
    border = MARGIN * 360
    assert xy.min() >= border - 1e-6 and (xy.max(0) <= [640 - border + 1e-6, 360 - border + 1e-6]).all()
    room = np.array([640, 360]) - 2 * border - np.ptp(xy, axis=0)
    assert room.min() < 3


def test_a_camera_projects_its_target_into_the_middle():
    camera = camera_around(np.array([[0.0, 0, 0], [1, 2, 3]]), 400, 300)
    xy, scale = camera.project(camera.target)
    np.testing.assert_allclose(xy, [200, 150], atol=1e-6)
    assert scale > 0


def test_pictures_have_the_size_that_was_asked_for(walk):
    assert next(render_frames(walk, width=320, height=200, text="a long sentence " * 9)).size == (320, 200)


@pytest.mark.slow
def test_six_seconds_are_drawn_in_a_few():
    """120 frames in about 2 s on one free core; the bound leaves room for a loaded one."""
    joints = np.random.default_rng(0).normal(size=(120, HUMANML3D.n_joints, 3))
    begin = time.process_time()
    assert sum(1 for _ in render_frames(joints)) == 120
    assert time.process_time() - begin < 6
