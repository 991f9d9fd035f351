"""BAMM against its published behaviour: logits, a training step, both passes of generation, editing.

Weights are filled by rule under the published keys and come in through the key map of published checkpoints. Text
vectors are given. Tolerance is the fact sheet's: rtol 1e-4 with atol 1e-4, token ids exactly; what stands behind a
motion's END is nobody's, and is not compared.
"""

from functools import cache

import numpy as np
import pytest
import torch
from token_models import TEXT_WIDTH, Alone, assert_ids, assert_published, published_state, tensor, uniforms
from torch import Tensor

from atm.base.storage import load_state
from atm.generators.bamm.presets import bamm_transformer_humanml3d
from atm.generators.bamm.transformer import (
    MaskedAutoregressiveTransformer,
    TransformerDraws,
    cut_at_end,
    may_look,
    without_end,
)
from atm.generators.bamm.weights import our_transformer
from atm.generators.tokens.gumbel import gumbel
from atm.motion.layers import length_mask

CODES, END, PAD, MOST = 512, 512, 513, 49


@cache
def transformer(body: str = "official") -> MaskedAutoregressiveTransformer:
    table = "bamm.transformer" if body == "official" else f"bamm.transformer_{body}"
    config = bamm_transformer_humanml3d().model_copy(update={"body": body})
    network = MaskedAutoregressiveTransformer(config, TEXT_WIDTH)
    load_state(Alone("transformer", network), our_transformer(published_state(table)), source=table)
    return network.eval()


def noise(key: object, rows: int, *, first: int = 0, classes: int = CODES) -> Tensor:
    """One draw per place, numbered from `first` on through the whole run."""
    uniform = uniforms(str(key), first)
    return torch.stack([gumbel(uniform((rows, classes))) for _ in range(MOST)], dim=1)


def assert_motions(file, key: str, ids: Tensor, tokens: Tensor) -> None:
    """Codes and END."""
    assert_ids(file, key, ids, inside=length_mask(tokens + 1, ids.shape[1]))


@torch.no_grad()
def test_the_transformer_looks_where_and_says_what_the_published_one_does(golden):
    """Causal, with fixed tokens, guided, without text, from the text alone, and with the other body."""
    file = golden("bamm_logits.npz")
    network, ids, text = transformer(), tensor(file["ids"]), tensor(file["text"])
    fixed = {"causal": torch.zeros_like(ids, dtype=torch.bool), "hybrid": tensor(file["cond_idx"]) != PAD}
    for name, which in fixed.items():
        assert_ids(file, f"attend_{name}", may_look(which))
        assert_published(file, f"logits_{name}", network(ids, text, which).transpose(1, 2))
        scales = {f"logits_uncond_{name}_first8": 0.0} | dict(file.numbered(rf"logits_cfg(\d+)_{name}_first8"))
        for key, scale in scales.items():
            logits = network.guided(ids, text, which, scale=float(scale))
            assert_published(file, key, logits[:, :8].transpose(1, 2))
    assert_published(file, "logits_text_only", network(ids[:, :0], text).transpose(1, 2))
    other = transformer("t2mgpt")(ids, text, fixed["hybrid"])
    assert_published(file, "logits_hybrid_t2mgpt_first8", other[:, :8].transpose(1, 2))


@pytest.mark.parametrize("kind", ["hybrid", "causal"])
@torch.no_grad()
def test_a_training_step_is_the_published_one(golden, kind):
    file = golden("bamm_train.npz")
    network, codes, text = transformer(), tensor(file["ids"]), tensor(file["text"])
    tokens = tensor(file["token_lens"])
    names = (f"{kind}_occur", "draw_cond_rate", "draw_u_cond", "draw_p_corrupt", "draw_u_corrupt", "draw_rand_id")
    draws = TransformerDraws(*(tensor(np.asarray(file[name])) for name in names))
    target, _ = network.with_end(codes, tokens)
    shown, fixed = network.corrupt(target, draws)
    assert_ids(file, f"{kind}_x_ids", shown)
    assert_ids(file, f"{kind}_cond_idx", torch.where(fixed, target, PAD))
    loss, parts = network.loss(codes, text, length_mask(tokens, MOST), draws)
    assert_published(file, f"{kind}_loss", loss.mean())
    file.compare(f"{kind}_acc", parts["accuracy"], rtol=1e-6)


@pytest.mark.parametrize("run", ["len_given", "len_predicted", "len_predicted_end30"])
@torch.no_grad()
def test_both_passes_go_the_published_way(golden, run):
    """Which half is drawn again depends there on how a sort orders ties, so it is the file's."""
    file = golden("bamm_generate.npz")
    network, text = transformer(), tensor(file["text"])
    key, rows = file[f"{run}_noise_key"], len(text)
    given = tensor(file["token_lens"]) if run == "len_given" else None
    first = noise(key, rows, classes=CODES if run == "len_given" else CODES + 1)
    if run == "len_predicted_end30":
        first[:, 30, END] += 1000
    ids, tokens = network.draft(text, first, given, scale=4.0)
    assert_ids(file, f"{run}_pred_len", tokens)
    first_ids = f"{run}_pass1_ids"
    assert_ids(file, first_ids, ids[:, :MOST], view=lambda x: x[:, :MOST], inside=length_mask(tokens, MOST))

    redo = tensor(file[f"{run}_pass2_cond_idx"]) == PAD
    second = noise(key, rows, first=MOST)
    ids = network.revise(ids, tokens, text, second, scale=3.0, redo=redo)
    assert_motions(file, f"{run}_ids", ids, tokens)
    assert_ids(file, f"{run}_after_pad_when_end", without_end(ids, END))


@pytest.mark.parametrize(("scale", "expected"), [(3.0, "ids_text_used_cfg3"), (0.0, "ids_as_released")])
@torch.no_grad()
def test_editing_fills_in_what_the_published_program_fills_in(golden, scale, expected):
    """As released it forgets the text, which is guidance 0."""
    file = golden("bamm_edit.npz")
    known, text, tokens = tensor(file["cond_tokens"]), tensor(file["text"]), tensor(file["token_lens"])
    codes = known[:, :MOST]
    ids = transformer().complete(codes, codes < END, tokens, text, noise(file["noise_key"], len(text)), scale=scale)
    assert_motions(file, expected, ids, tokens)


def test_a_motion_ends_where_the_published_one_ends(golden):
    file = golden("bamm_pad.npz")
    ids, tokens = cut_at_end(tensor(file["xs"]), END)
    assert_ids(file, "pad_after_end", ids)
    assert_ids(file, "pad_after_end_len", tokens)
    assert_ids(file, "pad_when_end", without_end(ids, END))
    assert_ids(file, "pad_when_end_len", tokens)
