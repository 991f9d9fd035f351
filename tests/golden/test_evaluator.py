"""The evaluator's networks, loss, words and normaliser against the published ones."""

from collections.abc import Mapping

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


def tensors(file: Mapping[str, np.ndarray], *names: str) -> list[torch.Tensor]:
    return [torch.from_numpy(file[name]) for name in names]


def has_room(lengths: torch.Tensor, motions: torch.Tensor) -> torch.Tensor:
    """Rows that end before their array does by what the last code sees. Published arrays have 196 frames; a motion that
    fills a shorter one would see the convolutions' own padding in it, and frames of zeros with us."""
    return lengths + 3 <= motions.shape[1]


@pytest.mark.parametrize("rule", ["hash", "sin"])
@pytest.mark.parametrize(("name", "features"), [("t2m", 263), ("kit", 251)])
@torch.no_grad()
def test_embeddings_are_the_published_ones_in_any_order(golden, name, features, rule):
    file = golden(f"evaluator_{name}_encode.npz")
    evaluator = published(features, rule)
    motions, lengths, order = tensors(file, "motions", "m_lens", "align_idx")

    steps = evaluator.movement_encoder(motions[..., :-4])
    z_motion = evaluator.motion_encoder(steps, lengths.long() // 4)
    file.compare(f"{rule}_motion_emb", z_motion[order], **CLOSE)
    ours, roomy = evaluator.encode_motion(Motion(motions, lengths)), has_room(lengths, motions)
    torch.testing.assert_close(ours[roomy], z_motion[roomy], **CLOSE)
    file.compare(f"{rule}_movement_0", evaluator.movement_encoder(motions[:1, :, :-4])[0], **CLOSE)

    word, kind, said = tensors(file, "word_embs", "pos_index", "cap_lens")
    classes = F.one_hot(kind.long(), len(CLASSES)).float()
    texts = evaluator.text_encoder(word, classes, said)
    file.compare(f"{rule}_text_emb", texts[order], **CLOSE)
    backwards = evaluator.text_encoder(word.flip(0), classes.flip(0), said.flip(0))
    torch.testing.assert_close(backwards.flip(0), texts, **CLOSE)


@pytest.mark.parametrize(("name", "features"), [("t2m", 263), ("kit", 251)])
@torch.no_grad()
def test_frames_behind_the_end_change_the_published_embedding_and_not_ours(golden, name, features):
    file = golden(f"evaluator_{name}_encode.npz")
    evaluator = published(features, "hash")
    motions, tail, lengths, order = tensors(file, "motions", "tail", "m_lens", "align_idx")
    motions = motions.clone()
    for row, length in enumerate(lengths.tolist()):
        fits = min(tail.shape[1], motions.shape[1] - length)
        motions[row, length : length + fits] = tail[row, :fits]
    motion, roomy = Motion(motions, lengths), has_room(lengths, motions)[order]
    file.compare("hash_motion_emb", evaluator.encode_motion(motion)[order], inside=roomy, **CLOSE)
    as_published = evaluator.encode_motion(motion, tail="published")[order]
    file.compare("hash_motion_emb_tail", as_published, inside=roomy, **CLOSE)


def test_training_loss_is_the_published_one_for_each_shift(golden):
    file = golden("evaluator_loss.npz")
    texts, motions = tensors(file, "text_emb", "motion_emb")
    losses = [
        contrastive_loss(texts, motions, shift=shift, margin=file["margin"].item()).mean()
        for shift in file["shifts"].tolist()
    ]
    file.compare("loss_neg", torch.stack(losses) - file["loss_pos"].item(), atol=1e-4 * file["loss_pos"].item())


def test_words_and_classes_are_looked_up_as_published(golden):
    file = golden("word_vectorizer.npz")
    file.same("pos_names", CLASSES)
    indices = WordVectorizer(file["vocab"].tolist())([line.split() for line in file["token_lines"].tolist()])
    file.same("word_index", indices.word)
    file.same("pos_index", indices.kind)
    file.same("sent_len", indices.lengths)


def test_motions_reach_the_networks_in_the_evaluators_own_units(golden):
    """Between rooms a motion is in published units, so one normaliser takes the place of the published pair."""
    file = golden("eval_renorm.npz")
    x, mean, std, own_mean, own_std = tensors(file, "x", "data_mean", "data_std", "eval_t2m_mean", "eval_t2m_std")
    published_units = Normaliser(mean, std).inverse(x)
    file.compare("renormed", Normaliser(own_mean, own_std)(published_units), rms=1e-4)
