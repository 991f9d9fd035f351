"""A path over the floor in the root's columns, read back by the published way of decoding them."""

import numpy as np
import pytest
import torch

from atm.base.errors import InputError
from atm.motion import HUMANML3D, KIT, root_from_features, rotations
from atm.motion.paths import path_columns


def walked(points, frames: int, skeleton=HUMANML3D) -> tuple[np.ndarray, np.ndarray]:
    """The root's place (x, z) in metres, and the direction that it looks to, in each frame."""
    columns = path_columns(points, frames, skeleton)
    features = torch.zeros(frames, skeleton.feature_width)
    features[:, : columns.shape[1]] = columns
    to_front, root = root_from_features(features, skeleton)
    front = rotations.rotate(rotations.inverse(to_front), torch.tensor([0.0, 0.0, 1.0]))
    return root[:, [0, 2]].numpy() * skeleton.metres_per_unit, front[:, [0, 2]].numpy()


@pytest.mark.parametrize("skeleton", [HUMANML3D, KIT], ids=lambda skeleton: skeleton.name)
def test_the_root_goes_through_every_point_and_ends_on_the_last(skeleton):
    points = [(0.0, 1.5), (1.0, 2.5), (2.5, 2.5)]
    places, _ = walked(points, round(6 * skeleton.fps), skeleton)
    np.testing.assert_allclose(places[0], 0, atol=1e-4)
    np.testing.assert_allclose(places[-1], points[-1], atol=1e-3)
    for point in points:
        assert np.linalg.norm(places - point, axis=1).min() < 0.5 / skeleton.fps  # half of a frame at 1 m/s


def test_a_straight_path_is_walked_at_even_speed_but_for_its_ends():
    """4 m in 5 s, of which 0.5 s are taken to start and to stop: 4 / (5 - 0.5) m/s between them."""
    frames = 101
    places, _ = walked([(0.0, 4.0)], frames)
    speed = np.diff(places[:, 1]) * HUMANML3D.fps
    np.testing.assert_allclose(speed[15:85], 4 / (frames / HUMANML3D.fps - 0.5), rtol=0.02)
    assert speed[0] < 0.15 and speed[-1] < 0.15


def test_the_body_begins_looking_ahead_and_then_looks_where_it_goes():
    """The path leads to the left (+x) from the start."""
    places, front = walked([(3.0, 0.0)], 80)
    np.testing.assert_allclose(front[0], [0, 1], atol=1e-5)
    np.testing.assert_allclose(front[20:], [[1, 0]] * 60, atol=1e-3)
    np.testing.assert_allclose(places[:, 1], 0, atol=1e-4)


def test_a_circle_turns_the_body_once_around():
    angle = np.linspace(0, 2 * np.pi, 17)[1:]
    points = [(float(1 - np.cos(a)), float(np.sin(a))) for a in angle]
    columns = path_columns(points, 160, HUMANML3D)
    turned = np.degrees(2 * columns[:, 0].sum().item())
    assert abs(turned) == pytest.approx(360, abs=25)  # its last direction is that of the last chord


@pytest.mark.parametrize(
    ("points", "sentence"),
    [
        ([], "1 to 64 points"),
        ([(0.0, 1.0)] * 65, "1 to 64 points"),
        ([(0.0, 0.0)], "the path is 0 m long"),
        ([(0.0, float("nan"))], "point 1 of the path must be x and z"),
        ([(0.0, 1.0), (500.0, 1.0)], "point 2 of the path must be x and z within 100 m"),
        ([(0.0, 90.0)], "faster than the 7 m/s"),
    ],
)
def test_what_is_no_path_is_one_sentence(points, sentence):
    with pytest.raises(InputError, match=sentence):
        path_columns(points, 60, HUMANML3D)
