"""Rotations: the laws they obey, and a second library."""

import math

import hypothesis.strategies as st
import pytest
import roma
import torch
from hypothesis import given, settings
from torch import Tensor

from atm.motion import rotations as rot

seeds = st.integers(min_value=0, max_value=2**32 - 1)


def random_quaternions(n: int, seed: int) -> Tensor:
    q = torch.randn(n, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.normalize(q, dim=-1)


def random_vectors(n: int, seed: int) -> Tensor:
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_sixd_of_a_rotation_gives_the_rotation_back(seed):
    matrix = rot.matrix_from_quaternion(random_quaternions(8, seed))
    torch.testing.assert_close(rot.matrix_from_sixd(rot.sixd_from_matrix(matrix)), matrix)


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_a_rotation_and_its_inverse_leave_vectors_where_they_were(seed):
    q, v = random_quaternions(8, seed), random_vectors(8, seed + 1)
    torch.testing.assert_close(rot.rotate(rot.inverse(q), rot.rotate(q, v)), v)


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_between_takes_one_direction_to_the_other_by_the_shortest_way(seed):
    u, v = random_vectors(8, seed), random_vectors(8, seed + 1)
    q = rot.between(u, v)
    torch.testing.assert_close(
        torch.cosine_similarity(rot.rotate(q, u), v, dim=-1), torch.ones(8, dtype=torch.float64), atol=1e-9, rtol=0
    )
    # The angle of a unit quaternion is 2 acos(w): the shortest way is the angle between the two.
    torch.testing.assert_close(2 * torch.acos(q[:, 0]), torch.acos(torch.cosine_similarity(u, v, dim=-1)))


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_quaternions_are_those_of_roma_with_w_in_front(seed):
    q, r, v = random_quaternions(8, seed), random_quaternions(8, seed + 1), random_vectors(8, seed + 2)
    q_last, r_last = roma.quat_wxyz_to_xyzw(q), roma.quat_wxyz_to_xyzw(r)
    torch.testing.assert_close(rot.multiply(q, r), roma.quat_xyzw_to_wxyz(roma.quat_product(q_last, r_last)))
    torch.testing.assert_close(rot.rotate(q, v), roma.quat_action(q_last, v))
    torch.testing.assert_close(rot.matrix_from_quaternion(q), roma.unitquat_to_rotmat(q_last))
    pairs = torch.cat([v, v.roll(1, dims=0)], dim=-1)
    torch.testing.assert_close(
        rot.matrix_from_sixd(pairs), roma.special_gramschmidt(pairs.unflatten(-1, (2, 3)).transpose(-1, -2))
    )


def test_between_opposite_directions_is_undefined():
    """w = |u||v| + u.v = 0 and u x v = 0: no direction of the axis is left, and 0 / 0 is NaN."""
    up = torch.tensor([0.0, 1.0, 0.0])
    assert rot.between(up, -up).isnan().all()


def test_a_positive_turn_about_y_takes_forward_to_left():
    """y is up and +z forward, so the left hand points to +x: a quarter turn to the left takes +z to +x."""
    quarter = rot.about_y(torch.tensor(math.pi / 2))
    torch.testing.assert_close(rot.rotate(quarter, torch.tensor([0.0, 0.0, 1.0])), torch.tensor([1.0, 0.0, 0.0]))


@pytest.mark.parametrize("shape", [(), (5,), (2, 1, 5)])
def test_one_rotation_turns_vectors_of_any_shape(shape):
    q = rot.about_y(torch.tensor(0.3))
    v = torch.randn(*shape, 3)
    torch.testing.assert_close(rot.rotate(q, v), v @ rot.matrix_from_quaternion(q).T)
