"""The evaluator's networks, loss, words and normaliser against the published ones."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from weights import fill_

from atm.evaluation.evaluator import Evaluator, EvaluatorConfig, contrastive_loss
from atm.evaluation.words import CLASSES, WordVectorizer
from atm.motion import Motion
from atm.motion.layers import Normaliser

CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def published(features: int, rule: str) -> Evaluator:
    evaluator = Evaluator(EvaluatorConfig(features=features), Normaliser.identity(features)).eval()
    for network in (evaluator.movement_encoder, evaluator.motion_encoder, evaluator.text_encoder):
        fill_(network, rule=rule)
    return evaluator


def has_room(z: dict[str, torch.Tensor]) -> torch.Tensor:
    """Rows that end before their array does by what the last code sees. Published arrays have 196 frames; a motion that
    fills a shorter one would see the convolutions' own padding in it, and frames of zeros with us."""
    return z["m_lens"] + 3 <= z["motions"].shape[1]


@pytest.mark.parametrize("rule", ["hash", "sin"])
@pytest.mark.parametrize(("name", "features"), [("t2m", 263), ("kit", 251)])
@torch.no_grad()
def test_embeddings_are_the_published_ones_in_any_order(golden, name, features, rule):
    z = {key: torch.from_numpy(array) for key, array in golden(f"evaluator_{name}_encode.npz").items()}
    evaluator = published(features, rule)
    order = z["align_idx"]

    steps = evaluator.movement_encoder(z["motions"][..., :-4])
    motions = evaluator.motion_encoder(steps, z["m_lens"].long() // 4)
    torch.testing.assert_close(motions[order], z[f"{rule}_motion_emb"], **CLOSE)
    ours, roomy = evaluator.encode_motion(Motion(z["motions"], z["m_lens"])), has_room(z)
    torch.testing.assert_close(ours[roomy], motions[roomy], **CLOSE)
    codes = evaluator.movement_encoder(z["motions"][:1, :, :-4])[0]
    torch.testing.assert_close(codes, z[f"{rule}_movement_0"], **CLOSE)

    classes = F.one_hot(z["pos_index"].long(), len(CLASSES)).float()
    texts = evaluator.text_encoder(z["word_embs"], classes, z["cap_lens"])
    torch.testing.assert_close(texts[order], z[f"{rule}_text_emb"], **CLOSE)
    backwards = evaluator.text_encoder(z["word_embs"].flip(0), classes.flip(0), z["cap_lens"].flip(0))
    torch.testing.assert_close(backwards.flip(0), texts, **CLOSE)


@pytest.mark.parametrize(("name", "features"), [("t2m", 263), ("kit", 251)])
@torch.no_grad()
def test_frames_behind_the_end_change_the_published_embedding_and_not_ours(golden, name, features):
    z = {key: torch.from_numpy(array) for key, array in golden(f"evaluator_{name}_encode.npz").items()}
    evaluator = published(features, "hash")
    motions, lengths = z["motions"].clone(), z["m_lens"]
    for row, length in enumerate(lengths.tolist()):
        fits = min(4, motions.shape[1] - length)
        motions[row, length : length + fits] = z["tail"][row, :fits]
    motion, order = Motion(motions, lengths), z["align_idx"]
    roomy = has_room(z)[order]
    torch.testing.assert_close(evaluator.encode_motion(motion)[order][roomy], z["hash_motion_emb"][roomy], **CLOSE)
    as_published = evaluator.encode_motion(motion, tail="published")[order]
    torch.testing.assert_close(as_published[roomy], z["hash_motion_emb_tail"][roomy], **CLOSE)


def test_training_loss_is_the_published_one_for_each_shift(golden):
    z = golden("evaluator_loss.npz")
    texts, motions = torch.from_numpy(z["text_emb"]), torch.from_numpy(z["motion_emb"])
    for shift, negative in zip(z["shifts"].tolist(), z["loss_neg"].tolist(), strict=True):
        loss = contrastive_loss(texts, motions, shift=shift, margin=z["margin"].item()).mean()
        assert loss.item() == pytest.approx(z["loss_pos"].item() + negative, rel=1e-4)


def test_words_and_classes_are_looked_up_as_published(golden):
    z = golden("word_vectorizer.npz")
    assert tuple(z["pos_names"].tolist()) == CLASSES
    indices = WordVectorizer(z["vocab"].tolist())([line.split() for line in z["token_lines"].tolist()])
    np.testing.assert_array_equal(indices.word, z["word_index"])
    np.testing.assert_array_equal(indices.kind, z["pos_index"])
    np.testing.assert_array_equal(indices.lengths, z["sent_len"])


def test_motions_reach_the_networks_in_the_evaluators_own_units(golden):
    """Between rooms a motion is in published units, so one normaliser takes the place of the published pair."""
    z = {key: torch.from_numpy(array) for key, array in golden("eval_renorm.npz").items()}
    published_units = Normaliser(z["data_mean"], z["data_std"]).inverse(z["x"])
    ours = Normaliser(z["eval_t2m_mean"], z["eval_t2m_std"])(published_units)
    torch.testing.assert_close(ours, z["renormed"].float(), rtol=1e-4, atol=1e-4)
