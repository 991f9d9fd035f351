"""Which motion is the hard negative, which clips are proxies: every rule against a slow search."""

import itertools
import os
import subprocess
import sys

import pytest
import torch

from atm.alignment.clips import find_clips, least_aligned, least_clip_frames
from atm.alignment.distances import row_distance
from atm.alignment.negatives import (
    admissible_negatives,
    caption_ids,
    mine_hard_negatives,
    mine_proxies,
    text_similarity,
)
from atm.interface import FineMeaning
from atm.motion import Motion

ALL = torch.ones(7, 7, dtype=torch.bool)


def embeddings(rows: int = 7):
    rng = torch.Generator().manual_seed(1)
    return torch.randn(2, rows, 4, generator=rng, dtype=torch.float64)


def d(z: torch.Tensor, i: int, j: int) -> float:
    return row_distance(z[i], z[j], "cosine").item()


SLOW = {
    "ratio": lambda g, r, i, j: d(g, i, j) / max(d(r, i, j), 1e-4),
    "numerator": lambda g, r, i, j: d(g, i, j),
    "denominator": lambda g, r, i, j: -d(r, i, j),
}


@pytest.mark.parametrize("rule", SLOW)
@pytest.mark.parametrize("count", [1, 3])
def test_hard_negatives_are_those_of_a_slow_search(rule, count):
    """Ratio and numerator: smallest first; denominator only: the largest real distance first (table 7)."""
    generated, real = embeddings()
    mined = mine_hard_negatives(generated, real, ALL, rule=rule, count=count)
    for i in range(7):
        others = sorted((j for j in range(7) if j != i), key=lambda j: SLOW[rule](generated, real, i, j))
        assert mined.index[i].tolist() == others[:count]
    assert mined.valid.all()


@pytest.mark.parametrize(("positive", "negative"), list(itertools.product(SLOW, SLOW)))
def test_proxies_are_those_of_a_slow_search(positive, negative):
    """Positive: argmax of the ratio, argmax of the generated, argmin of the real distance; negative: the reverse."""
    generated, real = embeddings()
    anchor = torch.tensor([2, 5])
    mined = mine_proxies(generated, real, anchor, ALL[:2], positive_rule=positive, negative_rule=negative)
    for row, i in enumerate(anchor.tolist()):
        others = [j for j in range(7) if j != i]
        assert mined[0].index[row, 0] == max(others, key=lambda j: SLOW[positive](generated, real, i, j))
        assert mined[1].index[row, 0] == min(others, key=lambda j: SLOW[negative](generated, real, i, j))


def test_only_admissible_rows_become_negatives():
    generated, real = embeddings()
    admissible = torch.zeros(7, 7, dtype=torch.bool)
    admissible[0, 3] = True
    mined = mine_hard_negatives(generated, real, admissible, count=2)
    assert mined.index[0, 0] == 3
    assert mined.valid[0].tolist() == [True, False]
    assert not mined.valid[1:].any()
    assert not (mined.index == torch.arange(7)[:, None]).any()


def test_one_motion_alone_has_no_negative():
    z = torch.ones(1, 4)
    assert mine_hard_negatives(z, z, torch.ones(1, 1, dtype=torch.bool)).index.shape == (1, 0)


def test_equal_real_motions_in_the_denominator_give_finite_ratios():
    generated, _ = embeddings()
    mined = mine_hard_negatives(generated, torch.ones_like(generated), ALL)
    assert torch.isfinite(mined.ratio).all()


def test_texts_above_epsilon_and_equal_texts_are_not_admissible():
    sentence = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [1.0, 0.0]])
    caption = caption_ids(["walk", "walks", "sit", "walk"])
    admissible = admissible_negatives(text_similarity(sentence), caption, epsilon=0.85)
    assert admissible.tolist() == [
        [False, False, True, False],
        [False, False, True, False],
        [True, True, False, True],
        [False, False, True, False],
    ]


def test_meaning_overrules_the_language_model_both_ways():
    """Rows 0 and 1 are alike and contradict: negatives. Rows 0 and 2 are unlike and say the same: none. Row 3 is
    unlike all of them and nothing is known of it: the cosine decides."""
    similarity = torch.tensor(
        [[1.0, 0.99, 0.2, 0.2], [0.99, 1.0, 0.99, 0.2], [0.2, 0.99, 1.0, 0.9], [0.2, 0.2, 0.9, 1.0]]
    )
    contradicts, same = torch.zeros(4, 4, dtype=torch.bool), torch.eye(4, dtype=torch.bool)
    contradicts[0, 1] = contradicts[1, 0] = True
    same[0, 2] = same[2, 0] = True
    meaning = FineMeaning(contradicts, same, [None] * 4)
    admissible = admissible_negatives(similarity, torch.arange(4), epsilon=0.85, meaning=meaning)
    assert admissible.tolist() == [
        [False, True, False, True],
        [True, False, False, True],
        [False, False, False, False],
        [True, True, False, False],
    ]


def test_equal_texts_are_never_negatives_whatever_epsilon_is():
    caption = caption_ids(["walk", "walk"])
    assert not admissible_negatives(torch.zeros(2, 2), caption, epsilon=1.0).any()


def test_a_caption_has_one_number_and_every_other_caption_another():
    text = [f"a person walks {steps} steps" for steps in range(1000)]
    assert len(caption_ids(text).unique()) == 1000
    assert torch.equal(caption_ids(text), caption_ids(text)) and (caption_ids(text) >= 0).all()


def test_the_number_of_a_caption_is_the_same_in_every_process():
    """Python's own hash is not: each process salts it."""
    code = "from atm.alignment.negatives import caption_ids; print(caption_ids(['a person waves']).item())"
    said = [
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert said[0] == said[1]


def test_clips_are_in_sequence_and_a_short_last_one_is_left_out():
    """Of 40 frames each, at least 20: 100 frames give 0-40, 40-80, 80-100; 99 give two; 30 give one; 19 give none."""
    clips = find_clips(torch.tensor([100, 99, 30, 19]), clip_frames=40, min_frames=20)
    assert list(zip(clips.owner.tolist(), clips.start.tolist(), clips.length.tolist(), strict=True)) == [
        (0, 0, 40), (0, 40, 40), (0, 80, 20), (1, 0, 40), (1, 40, 40), (2, 0, 30),
    ]  # fmt: skip


def test_a_clip_of_kit_under_one_second_is_left_out():
    """At 12.5 frames a second 12 frames are 0.96 s and 13 are 1.04 s; at 20, 1.1 s are 22 frames whatever 1.1 * 20 is
    in floating point."""
    assert (least_clip_frames(1.0, 12.5), least_clip_frames(1.0, 20), least_clip_frames(1.1, 20)) == (13, 20, 22)
    clips = find_clips(torch.tensor([37, 38]), clip_frames=25, min_frames=least_clip_frames(1.0, 12.5))
    assert clips.length.tolist() == [25, 25, 13]


def test_motions_all_shorter_than_the_shortest_clip_have_no_clips():
    assert find_clips(torch.tensor([19, 5]), clip_frames=40, min_frames=20) is None


def test_cut_takes_the_frames_of_each_clip():
    features = torch.arange(2 * 100).float().reshape(2, 100, 1).expand(2, 100, 263)
    motion = Motion(features, torch.tensor([100, 30]))
    cut = find_clips(motion.lengths, clip_frames=40, min_frames=20).cut(motion)
    assert cut.lengths.tolist() == [40, 40, 20, 30]
    assert cut.features[1, :, 0].tolist() == list(range(40, 80))
    assert cut.features[2, :20, 0].tolist() == list(range(80, 100))
    assert cut.features[3, :30, 0].tolist() == list(range(100, 130))


def test_the_least_aligned_clip_is_the_furthest_from_its_real_one():
    generated, real = embeddings()
    owner = torch.tensor([0, 0, 0, 2, 2, 5, 5])
    rows, anchor = least_aligned(generated, real, owner, distance="cosine")
    away = row_distance(generated, real, "cosine")
    assert rows.tolist() == [0, 2, 5]
    expected = [max((n for n in range(7) if owner[n] == row), key=lambda n: away[n].item()) for row in (0, 2, 5)]
    assert anchor.tolist() == expected
