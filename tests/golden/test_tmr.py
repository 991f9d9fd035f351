"""The space against TMR's published code: its network, its losses, its retrieval metrics."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from weights import state_dict_of

from atm.interface import Batch, TextEmbedding
from atm.motion import Motion
from atm.motion.layers import Normaliser
from atm.space.losses import info_nce, kl_divergence, near_duplicates, smooth_l1
from atm.space.presets import space_humanml3d
from atm.space.retrieval import both_directions, random_batches, ranks, retrieval_metrics
from atm.space.weights import with_weights

CLOSE = {"rtol": 1e-4, "atol": 2e-5}
KEYS = json.loads((Path(__file__).parent / "keys" / "tmr.keys.json").read_text())
RULES = ["sin", "hash"]


class StoredTokens:
    """A language model that says what the golden file holds."""

    name, token_width, sentence_width = "stored", 768, 768

    def __init__(self, file: Mapping[str, np.ndarray]):
        tokens, lengths = torch.from_numpy(file["text_x"]), torch.from_numpy(file["text_lengths"])
        self.said = TextEmbedding(
            tokens, torch.arange(tokens.shape[1]) < lengths[:, None], torch.from_numpy(file["sent_emb"])
        )

    def __call__(self, text: list[str]) -> TextEmbedding:
        return self.said


def published(file, rule):
    """The published network in evaluation mode, with TMR's own threshold: 0.8 of a cosine from 0 to 1 is 0.6 raw."""
    config = space_humanml3d().model_copy(update={"epsilon": 0.6})
    weights, none = state_dict_of(KEYS, rule), Normaliser.identity(263)
    return with_weights(weights, none, config, StoredTokens(file), source=f"the rule {rule}").eval()


def motion_of(file):
    return Motion(torch.from_numpy(file["motion_x"]), torch.from_numpy(file["motion_lengths"]))


def captions_of(file):
    """As many as there are texts; what they say is in the file."""
    return [f"text {row}" for row in range(len(file["text_x"]))]


@pytest.mark.parametrize("rule", RULES)
@torch.no_grad()
def test_text_and_motion_means_are_those_of_the_published_encoders(golden, rule):
    file = golden("tmr_model.npz")
    space = published(file, rule)
    z_motion, z_text = space.encode_motion(motion_of(file)), space.encode_text(captions_of(file))
    file.compare(f"{rule}_motion_mu", z_motion, **CLOSE)
    file.compare(f"{rule}_text_mu", z_text, **CLOSE)
    similarity = torch.nn.functional.cosine_similarity(z_text[:, None], z_motion[None], dim=-1)
    file.compare(f"{rule}_sim", similarity, **CLOSE)


@pytest.mark.parametrize("rule", RULES)
@torch.no_grad()
def test_decoded_motions_are_those_of_the_published_decoder(golden, rule):
    file = golden("tmr_model.npz")
    space, motion = published(file, rule), motion_of(file)
    decoded = space.decode(torch.from_numpy(file[f"{rule}_text_mu"]), motion.lengths)
    file.compare(f"{rule}_dec_from_text", decoded.features, lengths=motion.lengths, **CLOSE)
    first = space.decode(torch.from_numpy(file[f"{rule}_motion_mu"][:1]), motion.lengths[:1])
    file.compare(f"{rule}_dec_from_motion_0", first.features, lengths=motion.lengths[:1], **CLOSE)


@pytest.mark.parametrize("rule", RULES)
@torch.no_grad()
def test_the_objective_and_its_terms_are_the_published_ones(golden, rule):
    file = golden("tmr_model.npz")
    texts = captions_of(file)
    batch = Batch(motion_of(file), texts, torch.from_numpy(file["sent_emb"]), ids=texts)
    step = published(file, rule).training_step(batch, torch.Generator())
    # The published mean is over the frames of the array, zeros behind the longest motion included.
    share = file["motion_lengths"].max() / file["motion_x"].shape[1]
    rec = step.parts["rec"] * share
    file.compare(f"{rule}_loss_recons", rec, **CLOSE)
    for ours, theirs in {"kl": "kl", "latent": "latent", "nce": "contrastive"}.items():
        file.compare(f"{rule}_loss_{theirs}", step.parts[ours], **CLOSE)
    file.compare(f"{rule}_loss_loss", step.loss.mean() - step.parts["rec"] + rec, **CLOSE)


@pytest.mark.parametrize("rule", RULES)
@torch.no_grad()
def test_log_variances_are_the_published_ones(golden, rule):
    file = golden("tmr_model.npz")
    space, motion = published(file, rule), motion_of(file)
    spread = space.motion_encoder(motion.features, motion.mask).logvar
    file.compare(f"{rule}_motion_logvar", spread, **CLOSE)
    said = space.language_model(captions_of(file))
    file.compare(f"{rule}_text_logvar", space.text_encoder(said.tokens, said.mask).logvar, **CLOSE)


@pytest.mark.parametrize("temperature", [0.1, 0.7])
def test_info_nce_is_the_published_contrastive_loss(golden, temperature):
    file = golden("tmr_losses.npz")
    x, y, sentence = (torch.from_numpy(file[name]) for name in ("x", "y", "sent_emb"))
    filtered = info_nce(x, y, near_duplicates(sentence, epsilon=0.6), temperature=temperature)
    plain = info_nce(x, y, torch.zeros(len(x), len(x), dtype=torch.bool), temperature=temperature)
    file.compare(f"nce_t{temperature}_filtered", filtered.mean(), **CLOSE)
    file.compare(f"nce_t{temperature}_plain", plain.mean(), **CLOSE)


def in_order(pairs):
    return np.array(sorted(map(tuple, np.asarray(pairs).tolist()))).reshape(-1, 2)


def test_near_duplicates_are_the_published_masked_pairs(golden):
    file = golden("tmr_losses.npz")
    found = near_duplicates(torch.from_numpy(file["sent_emb"]), epsilon=0.6).nonzero()
    file.same("masked_pairs", in_order(found), view=in_order)


def test_kl_and_smooth_l1_are_the_published_ones(golden):
    file = golden("tmr_losses.npz")
    x, y, spread_x, spread_y = (torch.from_numpy(file[name]) for name in ("x", "y", "logvar_q", "logvar_p"))
    zero = torch.zeros_like(x)
    file.compare("kl_q_p", kl_divergence(x, spread_x, y, spread_y).mean(), **CLOSE)
    file.compare("kl_p_q", kl_divergence(y, spread_y, x, spread_x).mean(), **CLOSE)
    file.compare("kl_q_std", kl_divergence(x, spread_x, zero, zero).mean(), **CLOSE)
    file.compare("smooth_l1", smooth_l1(x, y).mean(), **CLOSE)


def compare_metrics(file, protocol, ours):
    """The file has `normal|t2m/R01` where we say `t2m/R@1`, and some of its values are rounded to two digits."""
    for name, value in ours.items():
        direction, _, metric = name.partition("/")
        theirs = metric if metric == "MedR" else f"R{int(metric.removeprefix('R@')):02d}"
        file.compare(f"{protocol}|{direction}/{theirs}", value, rtol=1e-6, atol=0.005)


# The published threshold is of a cosine that was squeezed into 0 to 1.
@pytest.mark.parametrize(
    ("protocol", "matrix", "cosine"),
    [
        ("normal", "sim", None),
        ("ties", "sim_ties", None),
        ("threshold_0.95", "sim", 2 * 0.95 - 1),
        ("threshold_0.80", "sim", 2 * 0.80 - 1),
    ],
)
def test_ranks_and_metrics_of_whole_sets_are_the_published_ones(golden, protocol, matrix, cosine):
    file = golden("tmr_retrieval.npz")
    similarity = torch.from_numpy(file[matrix])
    right = torch.eye(len(similarity), dtype=torch.bool)
    duplicate = None if cosine is None else near_duplicates(torch.from_numpy(file["sent_emb"]), epsilon=cosine)
    if duplicate is not None:
        right = right | duplicate
    file.same(f"{protocol}_t2m_cols", ranks(similarity, right))
    file.same(f"{protocol}_m2t_cols", ranks(similarity.T, right))
    compare_metrics(file, protocol, both_directions(similarity, duplicate))


@pytest.mark.parametrize(
    ("protocol", "theirs"), [("all", "normal"), ("threshold", "threshold_0.95"), ("batches", "guo")]
)
def test_protocols_from_embeddings_give_the_published_metrics(golden, protocol, theirs):
    file = golden("tmr_retrieval.npz")
    z_text, z_motion, sentence = (torch.from_numpy(file[name]) for name in ("lat_text", "lat_motion", "sent_emb"))
    compare_metrics(file, theirs, retrieval_metrics(z_text, z_motion, sentence, protocol=protocol))


def test_random_batches_are_the_published_ones(golden):
    file = golden("tmr_retrieval.npz")
    file.same("guo_batches", torch.stack(random_batches(len(file["lat_text"]))))
