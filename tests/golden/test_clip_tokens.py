"""Token ids of CLIP's published tokeniser for four captions, whole and cut to the 22 that MDM reads."""

import pytest

from atm.base.errors import InputError
from atm.text import load_text_encoder
from atm.text.encoders import MODELS, cut


def test_cutting_to_22_tokens_equals_the_published_cut(golden):
    file = golden("clip_tokens.npz")
    rows = zip(file["tokens_77"].tolist(), file["eot_77"].tolist(), strict=True)
    ids = [cut(whole[: end + 1], MODELS["clip_b32_22"].limit) for whole, end in rows]
    file.same("eot_22", [len(own) - 1 for own in ids])
    for row, own in enumerate(ids):
        file.same("tokens_22_padded", own, view=lambda x, row=row, own=own: x[row, : len(own)])


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
    file.same("tokens_22_padded", ids, view=lambda x: x[rows, : ids.shape[1]], inside=mask)
    file.same("eot_22", mask.sum(1) - 1, view=lambda x: x[rows])
