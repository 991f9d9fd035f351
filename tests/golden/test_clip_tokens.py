"""Token ids of CLIP's published tokeniser for four captions, whole and cut to the 22 that MDM reads."""

import pytest
import torch

from atm.base.errors import InputError
from atm.text import load_text_encoder
from atm.text.encoders import MODELS, cut


def test_cutting_to_22_tokens_equals_the_published_cut(golden):
    file = golden("clip_tokens.npz")
    for whole, end, expected, expected_end in zip(
        file["tokens_77"], file["eot_77"], file["tokens_22_padded"], file["eot_22"], strict=True
    ):
        ids = cut(whole[: end + 1].tolist(), MODELS["clip_b32_22"].limit)
        assert len(ids) == expected_end + 1
        assert ids == expected[: len(ids)].tolist()


@pytest.mark.filterwarnings("ignore:clip reads 22 tokens")
def test_captions_become_the_published_tokens(golden):
    file = golden("clip_tokens.npz")
    try:
        clip = load_text_encoder("clip_b32_22")
    except InputError:
        pytest.skip("CLIP's vocabulary is not in the model hub's cache and the hub cannot be reached")
    # An empty caption has a published row, but no user's prompt is empty.
    rows = [row for row, caption in enumerate(file["captions"]) if str(caption).strip()]
    ids, mask = clip._tokenise([str(file["captions"][row]) for row in rows])
    expected = torch.from_numpy(file["tokens_22_padded"][rows, : ids.shape[1]]).long()
    assert torch.equal(ids, expected)
    assert mask.sum(1).tolist() == (file["eot_22"][rows] + 1).tolist()
