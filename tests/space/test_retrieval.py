"""Ranks and recalls by hand and against slow loops, and what each protocol takes for right."""

import pytest
import torch

from atm.space.retrieval import (
    both_directions,
    clip_retrieval_metrics,
    dissimilar_rows,
    random_batches,
    ranks,
    retrieval_metrics,
    retrieval_table,
)
from atm.space.similarity import similarity_distribution, similarity_table


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def own(count: int) -> torch.Tensor:
    return torch.eye(count, dtype=torch.bool)


def test_ranks_count_what_lies_before_and_share_ties():
    """Row 0: own 0.5 behind one. Row 1: own is best. Row 2: own ties with both others: mean of places 0, 1, 2."""
    similarity = torch.tensor([[0.5, 0.9, 0.1], [0.2, 0.8, 0.3], [0.4, 0.4, 0.4]])
    assert ranks(similarity, own(3)).tolist() == [1, 0, 1]


def test_the_best_of_several_right_items_counts():
    similarity = torch.tensor([[0.5, 0.9, 0.1]])
    assert ranks(similarity, torch.tensor([[True, True, False]])).tolist() == [0]
    assert ranks(similarity, torch.tensor([[True, False, True]])).tolist() == [1]


def test_ranks_are_the_same_as_sorting_each_row():
    similarity = normal(20, 20)
    expected = [sorted(row, reverse=True).index(row[i]) for i, row in enumerate(similarity.tolist())]
    assert ranks(similarity, own(20)).tolist() == expected


def test_a_query_with_nothing_right_is_refused():
    with pytest.raises(ValueError, match="at least one right item"):
        ranks(torch.ones(2, 2), torch.zeros(2, 2, dtype=torch.bool))


def test_recalls_and_median_by_hand():
    """Texts find their motions at places 0, 1, 2 and 3, motions theirs too: the matrix is symmetric."""
    similarity = torch.zeros(4, 4)
    places = [0, 1, 2, 3]
    for row, place in enumerate(places):
        others = [column for column in range(4) if column != row]
        similarity[row, others[:place]] = 2.0
        similarity[row, row] = 1.0
    found = both_directions(similarity)
    assert [found[f"t2m/R@{k}"] for k in (1, 2, 3, 5, 10)] == [25, 50, 75, 100, 100]
    assert found["t2m/MedR"] == 2.5  # places 1, 2, 3, 4 counted from 1


def test_equal_embeddings_retrieve_perfectly_in_every_protocol():
    z, sentence = normal(70, 16), normal(70, 8, seed=1)
    for protocol in ("all", "threshold", "nsim", "batches"):
        metrics = retrieval_metrics(z, 3 * z, sentence, protocol=protocol)
        assert set(metrics.values()) == {100.0, 1.0}


def test_motion_to_text_is_text_to_motion_with_the_roles_swapped():
    z_text, z_motion = normal(40, 16), normal(40, 16, seed=1)
    there = retrieval_metrics(z_text, z_motion, protocol="all")
    back = retrieval_metrics(z_motion, z_text, protocol="all")
    assert {name[4:]: v for name, v in there.items() if name.startswith("t2m")} == {
        name[4:]: v for name, v in back.items() if name.startswith("m2t")
    }


def test_under_threshold_a_motion_of_the_same_caption_is_right_too():
    """Texts 0 and 1 find each other's motion first. Their captions are one: `all` calls that wrong."""
    z_text = torch.eye(3)
    z_motion = torch.tensor([[0.8, 0.6, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    sentence = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    strict = retrieval_metrics(z_text, z_motion, sentence, protocol="all")
    kind = retrieval_metrics(z_text, z_motion, sentence, protocol="threshold")
    assert strict["t2m/R@1"] == pytest.approx(100 / 3)  # text 2 alone: text 1 finds motion 0
    assert kind["t2m/R@1"] == 100


def test_the_threshold_protocol_needs_sentence_embeddings():
    z = torch.eye(3)
    with pytest.raises(ValueError, match="give `sentence`"):
        retrieval_metrics(z, z, protocol="threshold")


def test_batches_drop_the_rest_and_never_share_a_row():
    batches = random_batches(100)
    rows = torch.cat(batches).tolist()
    assert [len(batch) for batch in batches] == [32, 32, 32]
    assert len(set(rows)) == 96


def test_fewer_items_than_a_batch_are_refused():
    with pytest.raises(ValueError, match="at least 32 items, got 31"):
        random_batches(31)


def test_dissimilar_rows_take_one_of_each_kind_first():
    """Three kinds of captions, each twice: three rows are one of each."""
    kinds = torch.eye(3).repeat_interleave(2, dim=0)
    rows = dissimilar_rows(kinds, 3)
    assert sorted(row // 2 for row in rows.tolist()) == [0, 1, 2]
    assert dissimilar_rows(kinds, 100).tolist() == [0, 1, 2, 3, 4, 5]


def test_a_clip_finds_its_text_and_a_text_any_of_its_clips():
    """Motion 0 has two clips. Its text finds the second first, that is right; the first clip finds text 1: wrong."""
    z_text = torch.eye(3)
    z_clip = torch.tensor([[0.6, 0.8, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    metrics = clip_retrieval_metrics(z_text, z_clip, torch.tensor([0, 0, 1, 2]))
    assert metrics["t2c/R@1"] == 100
    assert metrics["c2t/R@1"] == 75
    assert metrics["c2t/MedR"] == 1


def test_a_motion_without_clips_is_no_query():
    metrics = clip_retrieval_metrics(torch.eye(3), torch.eye(3)[:2], torch.tensor([0, 1]))
    assert metrics["t2c/R@1"] == 100


def test_clips_of_near_duplicate_captions_are_right_when_sentences_are_given():
    z_text, z_clip, owner = torch.eye(2), torch.eye(2).flip(0), torch.tensor([0, 1])
    assert clip_retrieval_metrics(z_text, z_clip, owner)["t2c/R@1"] == 0
    assert clip_retrieval_metrics(z_text, z_clip, owner, torch.ones(2, 4))["t2c/R@1"] == 100


def test_the_table_has_a_line_per_protocol_and_direction():
    z = torch.eye(40)
    table = retrieval_table({"all": retrieval_metrics(z, z, protocol="all")})
    head, *lines = table.splitlines()
    assert head.split() == ["R@1", "R@2", "R@3", "R@5", "R@10", "MedR"]
    assert [line.split() for line in lines] == [["all", way, *["100.00"] * 5, "1.00"] for way in ("t2m", "m2t")]


def test_the_similarity_distribution_by_hand():
    """Directions at 0, 60 and 90 degrees: cosines 0.5 (0, 60), 0.866 (60, 90), 0 (0, 90)."""
    angle = torch.tensor([0.0, 60.0, 90.0]).deg2rad()
    sentence = torch.stack([angle.cos(), angle.sin()], dim=1)
    found = similarity_distribution(sentence, quantiles=(0.0, 0.5, 1.0), epsilons=(0.4, 0.85, 0.9))
    assert list(found.quantiles.values()) == pytest.approx([0, 0.5, 0.75**0.5], abs=1e-6)
    assert list(found.above.values()) == pytest.approx([2 / 3, 1 / 3, 0])
    assert found.captions == 3


def test_the_similarity_distribution_of_many_captions_compares_some_from_all_over():
    found = similarity_distribution(normal(7000, 4))
    assert found.captions == 3000
    assert "epsilon 0.85 drops" in similarity_table(found)


def test_one_caption_has_no_pairs():
    with pytest.raises(ValueError, match="at least 2 captions"):
        similarity_distribution(torch.ones(1, 4))
