"""Latents in closed form: there and back, seams, ends of motions, and the features that follow from the others."""

import pytest
import torch

from atm.base.errors import InputError
from atm.generators.causal_flow.columns import core_weights, core_width, features_of_core
from atm.generators.causal_flow.latents import MotionLatents
from atm.motion import HUMANML3D, KIT, Motion, features_from_joints, forward_kinematics, jerk
from atm.motion.rotations import matrix_from_sixd

SKELETONS = pytest.mark.parametrize("skeleton", [HUMANML3D, KIT], ids=["HumanML3D", "KIT"])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def walk(frames: int, seed: int) -> torch.Tensor:
    """Features of a body whose limbs swing slowly, each motion at its own speeds, while it goes forward and turns."""
    rng = seeded(seed)
    time = torch.arange(frames + 1) / HUMANML3D.fps
    speeds = torch.rand(22, 2, generator=rng) * 2 + 0.5
    angles = 0.4 * torch.sin(time[:, None, None] * speeds)
    sixd = torch.zeros(frames + 1, 22, 6)
    sixd[..., 0], sixd[..., 4] = 1.0, 1.0
    sixd[..., 1], sixd[..., 5] = angles[..., 0], angles[..., 1]
    sixd[:, 0, 2] = 0.3 * time
    root = torch.stack([0.1 * time, 0.9 + 0.02 * torch.sin(5 * time), time], dim=-1)
    offsets = HUMANML3D.target_offsets
    return features_from_joints(forward_kinematics(matrix_from_sixd(sixd), root, offsets, HUMANML3D), HUMANML3D)


@pytest.fixture(scope="module")
def walks():
    return [walk(80, seed) for seed in range(40)]


def make(width: int = 12, skeleton=HUMANML3D) -> MotionLatents:
    return MotionLatents(skeleton, 4, width, torch.zeros(skeleton.feature_width))


@SKELETONS
def test_the_numbers_that_others_follow_from_are_the_root_and_the_positions(skeleton):
    """Turn, two steps, height, and three coordinates of each joint but the root: 67 and 64."""
    assert core_width(skeleton) == 1 + 2 + 1 + 3 * (skeleton.n_joints - 1)
    assert core_width(skeleton) == {HUMANML3D: 67, KIT: 64}[skeleton]


def test_a_millimetre_of_kit_weighs_a_thousandth_of_a_metre():
    heights = [core_weights(skeleton)[skeleton.columns["root_height"]] for skeleton in (HUMANML3D, KIT)]
    torch.testing.assert_close(heights[0], 1000 * heights[1])


def test_all_other_features_follow_as_they_were_published(walks):
    """But for the last frame, whose velocity asks for a frame that is not there."""
    features = walks[0]
    made = features_of_core(features[None, :, : core_width(HUMANML3D)], HUMANML3D)[0]
    torch.testing.assert_close(made[:-1], features[:-1], atol=2e-3, rtol=0)


def test_other_features_have_a_gradient_and_are_finite_even_for_a_body_that_is_a_point():
    core = torch.zeros(1, 5, core_width(HUMANML3D), requires_grad=True)
    features = features_of_core(core, HUMANML3D)
    features.square().sum().backward()
    assert features.isfinite().all() and core.grad.isfinite().all()


@SKELETONS
def test_as_many_components_as_numbers_give_the_motion_back(skeleton):
    """A square map has an inverse; with no error to be expected the neighbours have nothing to add."""
    size = 4 * core_width(skeleton)
    latents = make(size, skeleton)
    metres = skeleton.metres_per_unit
    motions = [torch.randn(80, skeleton.feature_width, generator=seeded(seed)) / metres for seed in range(120)]
    latents.fit(motions, noise=0.0)
    core = motions[0][None, :, : core_width(skeleton)]
    back = latents.decode(latents.encode(core), torch.tensor([20]))
    torch.testing.assert_close(back * metres, core * metres, atol=2e-2, rtol=0)


def test_latents_have_zero_mean_and_a_variance_of_one_on_average_over_what_they_were_fitted_to(walks):
    """Each motion has another phase in the fit; so many runs make the difference small."""
    latents = make()
    latents.fit(walks, noise=0.0)
    z = torch.cat([latents.encode(motion[None, :, :67])[0] for motion in walks])
    torch.testing.assert_close(z.mean(dim=0) / z.std(dim=0), torch.zeros(12), atol=0.15, rtol=0)
    torch.testing.assert_close(z.var(dim=0).mean(), torch.tensor(1.0), atol=0.15, rtol=0)


def test_what_moves_more_comes_first_and_is_larger_by_its_root(walks):
    """Components before they are scaled have deviations d: latents have sqrt(d), but for a common factor."""
    latents = make()
    latents.fit(walks, noise=0.0)
    assert (latents.scales.diff() <= 0).all()
    z = torch.cat([latents.encode(motion[None, :, :67])[0] for motion in walks])
    deviations = (z * latents.scales).std(dim=0)
    ratio = z.std(dim=0) / deviations.sqrt()
    torch.testing.assert_close(ratio, ratio.mean().expand(12), atol=0, rtol=0.1)


def test_a_decoder_that_expects_errors_joins_patches_with_less_trembling(walks):
    """The same noisy latents, decoded by the decoder of exact ones and by the one fitted for their error."""
    trembling = []
    for noise in (0.0, 0.1):
        latents = make()
        latents.fit(walks, noise=noise)
        z = latents.encode(walks[0][None, :, :67])
        core = latents.decode(z + 0.1 * torch.randn(z.shape, generator=seeded()), torch.tensor([20]))
        joints = Motion(features_of_core(core, HUMANML3D), torch.tensor([80])).joints[0]
        trembling.append(jerk(joints, HUMANML3D.fps).norm(dim=-1).mean())
    assert trembling[1] < 0.8 * trembling[0]


def test_neighbours_help_to_decode_what_the_components_leave_out(walks):
    """Few components: a patch from its own latent alone is further off than one from three."""
    latents = make(6)
    latents.fit(walks, noise=0.0)
    core = walks[0][None, :, :67]
    z = latents.encode(core)
    together = latents.decode(z, torch.tensor([20]))
    alone = torch.cat([latents.decode(z[:, i : i + 1], torch.tensor([1])) for i in range(20)], dim=1)
    assert (together - core).square().mean() < 0.8 * (alone - core).square().mean()


def test_what_stands_behind_a_motion_has_no_part_in_it(walks):
    latents = make()
    latents.fit(walks, noise=0.05)
    z = latents.encode(walks[0][None, :, :67])
    dirty = z.clone()
    dirty[:, 7:] = float("nan")
    alone = latents.decode(z[:, :7], torch.tensor([7]))
    torch.testing.assert_close(latents.decode(dirty, torch.tensor([7]))[:, :28], alone)


def test_too_few_motions_are_refused():
    with pytest.raises(InputError, match="give more motions, or a smaller model.latent_width"):
        make(30).fit([torch.randn(40, 263)], noise=0.0)


def test_more_components_than_numbers_are_refused():
    with pytest.raises(InputError, match="a patch of 4 frames has 268 numbers"):
        make(269)
