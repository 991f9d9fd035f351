"""Known frames as tokens: which are known, what they are, and what stands in the end."""

import pytest
import torch

from atm.base.errors import InputError
from atm.generators.momask.config import MaskConfig, MoMaskConfig
from atm.generators.momask.model import EDIT_GUIDANCE, MoMask
from atm.generators.tokens.config import ResidualConfig, RVQConfig, TrunkConfig
from atm.generators.tokens.padding import Known, padded_input, read_known
from atm.motion import Motion
from atm.motion.layers import Normaliser, length_mask
from doubles import FakeTextEncoder

FEATURES = 263
TOKENS = {
    "trunk": TrunkConfig(width=16, layers=1, heads=2, feed_forward=16),
    "codes": 24,
    "code_width": 8,
    "text_encoder": "fake",
}
CONFIG = MoMaskConfig(
    rvq=RVQConfig(width=16, depth=1, levels=2, codes=24, code_width=8),
    mask=MaskConfig(**TOKENS, steps=3),
    residual=ResidualConfig(**TOKENS, levels=2),
    length=None,
)


@pytest.fixture(scope="module")
def model() -> MoMask:
    torch.manual_seed(0)
    normaliser = Normaliser(torch.full((FEATURES,), 5.0), torch.full((FEATURES,), 2.0))
    return MoMask(CONFIG, FakeTextEncoder(8), normaliser).eval()


def motion(*lengths: int) -> Motion:
    values = torch.randn(len(lengths), max(lengths), FEATURES, generator=torch.Generator().manual_seed(0))
    return Motion(5 + 2 * values, torch.tensor(lengths))


@torch.no_grad()
def known(model: MoMask, given: Motion, keep: torch.Tensor, *lengths: int) -> Known:
    """Read for motions of these lengths."""
    own = torch.tensor(lengths)
    tokens = -(-own // 4)
    return read_known(model.rvq, model.normaliser, given, keep, own, length_mask(tokens, int(tokens.max())))


def test_a_token_is_known_where_all_frames_that_the_motion_has_of_it_are_kept(model):
    """Of 14 frames, token 3 has two. Without frame 5, token 1 is not known, nor is token 3 without frame 13."""
    keep = torch.ones(2, 14, dtype=torch.bool)
    keep[0, 5] = keep[1, 13] = False
    found = known(model, motion(14, 14), keep, 14, 14)
    assert found.tokens.tolist() == [[True, False, True, True], [True, True, True, False]]


def test_frames_beyond_what_is_known_are_made(model):
    """8 known frames of a motion of 20; and of 20 known ones, only the 8 that the motion shall have."""
    keep = torch.ones(1, 20, dtype=torch.bool)
    assert known(model, motion(8), keep[:, :8], 20).tokens.tolist() == [[True, True, False, False, False]]
    found = known(model, motion(20), keep, 8)
    assert found.tokens.tolist() == [[True, True]]
    assert found.features.shape == (1, 8, FEATURES)


def test_what_stands_in_the_padding_of_a_known_motion_is_not_known(model):
    keep = torch.ones(2, 16, dtype=torch.bool)
    found = known(model, motion(16, 8), keep, 16, 16)
    assert found.tokens.tolist() == [[True] * 4, [True, True, False, False]]


def test_each_known_run_has_the_codes_that_it_has_alone(model):
    """Tokens 0, 1 and 3 to 5: encoded as motions of 8 and 12 frames, whatever lies between, even NaN."""
    given, keep = motion(24), torch.ones(1, 24, dtype=torch.bool)
    keep[:, 8:12] = False
    given.features[:, 8:12] = float("nan")
    found = known(model, given, keep, 24)
    assert found.tokens.tolist() == [[True, True, False, True, True, True]]
    for start, stop in ((0, 8), (12, 24)):
        alone = Motion(given.features[:, start:stop], torch.tensor([stop - start]))
        with torch.no_grad():
            codes = model.rvq.encode(*padded_input(model.normaliser, alone, 4, whole=True)).codes[..., 0]
        assert torch.equal(found.codes[:, start // 4 : stop // 4], codes)


def test_kept_frames_are_put_back_as_they_were_given(model):
    given, keep = motion(10), torch.zeros(1, 10, dtype=torch.bool)
    keep[:, 3] = keep[:, 9] = True
    whole = known(model, given, keep, 10).put_back(torch.zeros(1, 12, FEATURES))
    torch.testing.assert_close(whole[:, [3, 9]], given.features[:, [3, 9]])
    assert whole[:, [0, 1, 2, 4, 8, 10, 11]].abs().sum() == 0


def test_single_features_cannot_be_kept_nor_a_motion_of_another_data_set(model):
    given = motion(8)
    with pytest.raises(InputError, match="keeps whole frames"):
        known(model, given, torch.ones(1, 8, FEATURES, dtype=torch.bool), 8)
    kit = Motion(torch.zeros(1, 8, 251), torch.tensor([8]))
    with pytest.raises(InputError, match="263 features per frame, but the motion has 251"):
        known(model, kit, torch.ones(1, 8, dtype=torch.bool), 8)


@torch.no_grad()
def test_a_completed_motion_is_made_from_the_known_tokens_at_the_published_guidance(model):
    """Its first level has them, and the residual transformer is guided by 2 instead of 5, as in editing."""
    given, keep = motion(24), torch.arange(24)[None] < 12
    seen, generate = [], model.residual.generate

    def noted(base, *rest, scale, **options):
        seen.append((base, scale))
        return generate(base, *rest, scale=scale, **options)

    model.residual.generate = noted
    model.sample(["a walk"], torch.tensor([24]), seeds=[0], known=given, keep=keep)
    model.residual.generate = generate
    (base, scale), found = seen[0], known(model, given, keep, 24)
    assert scale == EDIT_GUIDANCE == 2.0
    assert torch.equal(base[found.tokens], found.codes[found.tokens])


@torch.no_grad()
def test_nothing_is_drawn_again_where_everything_is_known(model):
    """A round of unmasking always asks for one token, but here none is open."""
    codes, mask = torch.tensor([[3, 1, 4]]), torch.ones(1, 3, dtype=torch.bool)
    base = model.mask.edit(codes, ~mask, torch.zeros(1, 8), mask, lambda: torch.randn(1, 3, 24), scale=1.0)
    assert torch.equal(base, codes)
