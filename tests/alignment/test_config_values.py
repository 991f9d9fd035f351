"""Each value of the config, through `Alignment`, against the loops of `slow.py`.

A value that does not reach its place gives the loss of another value, so each test also asks that the two differ.
"""

from dataclasses import replace

import pytest
import slow
import torch
from cases import case

from atm.alignment import Alignment, AlignmentConfig
from atm.base.config import changed
from atm.interface import Batch, FineMeaning
from atm.motion import Motion

ONLY = {"inter": {"intra.weight": 0}, "intra": {"inter.weight": 0}}


def run(which: str, given, changes: dict | None = None, **call):
    """The output of `Alignment` with one of the losses on and these values in its config."""
    space, generated, batch = given
    return Alignment(changed(AlignmentConfig(), {**ONLY[which], **(changes or {})}), space)(generated, batch, **call)


def always(i: int, j: int) -> bool:
    return True


def numbers(given) -> tuple[list, list, list]:
    """Embeddings of texts, generated and real motions as Python numbers."""
    space, generated, batch = given
    spans = [(0, length) for length in batch.motion.lengths.tolist()]
    made, true = (
        [slow.embedded(motion, *span) for motion, span in zip(frames(of), spans, strict=True)]
        for of in (generated, batch.motion)
    )
    return [space.texts[text].tolist() for text in batch.text], made, true


def frames(motion: Motion) -> list[list[list[float]]]:
    return motion.features[..., :4].tolist()


def slow_inter(given, allowed=always, **options) -> list[float]:
    return slow.inter(*numbers(given), allowed, **options)


def slow_intra(given, **options) -> list[float]:
    _, generated, batch = given
    return slow.intra(frames(generated), frames(batch.motion), batch.motion.lengths.tolist(), **options)


def agree(loss: torch.Tensor, each: list[float], other: list[float]) -> None:
    """The loss is the mean of `each`, and of nothing else that it could be."""
    assert loss.item() == pytest.approx(slow.mean(each), abs=1e-9)
    assert abs(slow.mean(each) - slow.mean(other)) > 1e-4, "the test would not notice the other value"


@pytest.fixture
def given():
    return case(rows=8, lengths=[120, 90, 65, 120, 100, 55, 80, 110], dtype=torch.float64)


def test_the_defaults_are_those_of_the_paper():
    """Lambda 0.01, epsilon 0.85, gamma 0.8, clips of 2 s and at least 1 s, one example each, adaptive margins."""
    config = AlignmentConfig()
    assert (config.inter.weight, config.intra.weight, config.counterfactual.weight) == (0.01, 0.01, 0)
    assert (config.epsilon, config.intra.gamma, config.distance) == (0.85, 0.8, "cosine")
    assert (config.intra.clip_seconds, config.intra.min_clip_seconds) == (2, 1)
    assert (config.inter.negatives, config.intra.proxy_pairs, config.max_noise) == (1, 1, 1)
    assert (config.inter.rule, config.intra.positive_rule, config.intra.negative_rule) == ("ratio",) * 3
    assert (config.inter.margin, config.intra.margin, config.counterfactual.margin) == ("adaptive",) * 3
    assert (config.inter.loss, config.intra.proxies_from, config.similarity) == ("hard_negative", "batch", "sentence")
    assert not (config.inter.detach or config.intra.detach or config.gather)


def test_by_default_the_total_is_a_hundredth_of_both_losses_of_the_paper(given):
    space, generated, batch = given
    output = Alignment(AlignmentConfig(), space)(generated, batch)
    agree(output.inter, slow_inter(given), [0])
    agree(output.intra, slow_intra(given), [0])
    assert output.total.item() == pytest.approx(0.01 * (output.inter + output.intra).item(), rel=1e-9)


def test_each_weight_multiplies_its_own_loss(given):
    space, generated, batch = given
    space.texts["false"] = space.texts["text 3"] - 1
    batch = replace(batch, meaning=FineMeaning(torch.eye(8) > 1, torch.eye(8) > 0, ["false"] * 8))
    weights = {"inter.weight": 2.0, "intra.weight": 3.0, "counterfactual.weight": 5.0}
    output = Alignment(changed(AlignmentConfig(), weights), space)(generated, batch)
    terms = output.inter.item(), output.intra.item(), output.counterfactual.item()
    assert len(set(terms)) == 3 and min(terms) > 0
    assert output.total.item() == pytest.approx(2 * terms[0] + 3 * terms[1] + 5 * terms[2], rel=1e-9)


@pytest.mark.parametrize(("rule", "other"), [("numerator", "ratio"), ("denominator", "ratio"), ("ratio", "numerator")])
def test_the_rule_chooses_the_hard_negative(given, rule, other):
    agree(run("inter", given, {"inter.rule": rule}).inter, slow_inter(given, rule=rule), slow_inter(given, rule=other))


@pytest.mark.parametrize("count", [3, 5])
def test_with_several_negatives_the_loss_is_the_mean_over_them(given, count):
    output = run("inter", given, {"inter.negatives": count})
    assert output.inter_result.mined.index.shape == (8, count)
    agree(output.inter, slow_inter(given, count=count), slow_inter(given, count=1))


def test_a_fixed_margin_takes_the_place_of_the_adaptive_one_in_the_inter_loss(given):
    found = run("inter", given, {"inter.margin": 0.3}).inter
    agree(found, slow_inter(given, margin=0.3), slow_inter(given))


def test_a_margin_of_zero_is_a_fixed_one(given):
    agree(run("inter", given, {"inter.margin": 0}).inter, slow_inter(given, margin=0), slow_inter(given))
    agree(run("intra", given, {"intra.margin": 0}).intra, slow_intra(given, margin=0), slow_intra(given))


def test_a_fixed_margin_takes_the_place_of_the_adaptive_one_in_the_intra_loss(given):
    found = run("intra", given, {"intra.margin": 0.3}).intra
    agree(found, slow_intra(given, margin=0.3), slow_intra(given))


@pytest.mark.parametrize(("changes", "margin"), [({}, 0.2), ({"inter.margin": 0.7}, 0.7)])
def test_the_triplet_form_takes_any_admissible_row_and_a_margin_of_its_own(changes, margin):
    """Of two rows each has one other, so that chance has no choice."""
    given = case(rows=2, dtype=torch.float64, seed=1)
    found = run("inter", given, {"inter.loss": "triplet", **changes}).inter
    for other in (None, 0.3):
        agree(found, slow_inter(given, margin=margin), slow_inter(given, margin=other))


def test_the_random_negatives_of_the_triplet_form_are_drawn_from_the_given_numbers_among_the_admissible(given):
    batch = replace(given[2], sentence=torch.tensor([[1.0, 0], [1, 0], [1, 0], [1, 0], [0, 1], [0, 1], [0, 1], [0, 1]]))
    seen = set()
    for seed in range(20):
        outputs = [
            run("inter", (*given[:2], batch), {"inter.loss": "triplet", "inter.negatives": 2},
                rng=torch.Generator().manual_seed(seed))
            for _ in range(2)
        ]  # fmt: skip
        first, second = (output.inter_result.mined.index for output in outputs)
        assert torch.equal(first, second)
        assert ((first < 4) != (torch.arange(8)[:, None] < 4)).all()
        seen.add(first[0, 0].item())
    assert seen == {4, 5, 6, 7}


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_the_contrastive_form_divides_by_the_temperature(given, temperature):
    text, made, _ = numbers(given)
    changes = {"inter.loss": "contrastive"} | ({} if temperature == 0.1 else {"inter.temperature": temperature})
    found = run("inter", given, changes)
    other = slow.info_nce(text, made, always, temperature=0.6 - temperature)
    agree(found.inter, slow.info_nce(text, made, always, temperature=temperature), other)
    assert found.inter_result.mined is None


def test_the_contrastive_form_leaves_out_texts_that_are_too_alike(given):
    text, made, _ = numbers(given)
    batch = replace(given[2], sentence=torch.ones(8, 1) * torch.tensor([1.0, 1, 1, 1, -1, -1, -1, -1])[:, None])

    def unlike(i, j):
        return (i < 4) != (j < 4)

    found = run("inter", (*given[:2], batch), {"inter.loss": "contrastive"}).inter
    every = slow.info_nce(text, made, always, temperature=0.1)
    agree(found, slow.info_nce(text, made, unlike, temperature=0.1), every)


@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("which", ["inter", "intra"])
def test_detaching_leaves_the_gradient_to_the_row_itself(which, detach):
    """Only row 0 takes part, so that others are moved as its negative, or as the owners of its proxies, alone."""
    given = case(rows=6, frames=80, dtype=torch.float64)
    noise = torch.tensor([0.0, 1, 1, 1, 1, 1])
    changes = {"max_noise": 0.5, f"{which}.detach": detach, f"{which}.margin": 2.0, "intra.gamma": 1.0}
    run(which, given, changes, noise_level=noise).total.backward()
    moved = given[1].features.grad.abs().sum((1, 2)) > 0
    assert moved[0]
    assert moved[1:].any().item() != detach


@pytest.mark.parametrize("positive", ["ratio", "numerator", "denominator"])
@pytest.mark.parametrize("negative", ["ratio", "numerator", "denominator"])
def test_each_proxy_is_chosen_by_its_own_rule(given, positive, negative):
    found = run("intra", given, {"intra.positive_rule": positive, "intra.negative_rule": negative}).intra
    expected = slow_intra(given, positive_rule=positive, negative_rule=negative)
    assert found.item() == pytest.approx(slow.mean(expected), abs=1e-9)
    if positive != negative:
        assert slow.mean(expected) != slow.mean(slow_intra(given, positive_rule=negative, negative_rule=positive))


@pytest.mark.parametrize("pairs", [3, 5])
def test_with_several_proxy_pairs_the_loss_is_the_mean_over_them(given, pairs):
    found = run("intra", given, {"intra.proxy_pairs": pairs}).intra
    agree(found, slow_intra(given, proxy_pairs=pairs), slow_intra(given))


def test_proxies_come_from_the_same_motion_where_the_config_says_so():
    """120 frames are three clips, so that each anchor has a choice of two."""
    given = case(rows=6, frames=120, dtype=torch.float64)
    found = run("intra", given, {"intra.proxies_from": "motion"}).intra
    agree(found, slow_intra(given, same_motion=True), slow_intra(given))


def test_a_motion_of_one_clip_has_no_proxy_in_itself():
    given = case(rows=4, frames=40, dtype=torch.float64)
    assert run("intra", given, {"intra.proxies_from": "motion"}).intra == 0
    assert run("intra", given).intra > 0


@pytest.mark.parametrize(("seconds", "clip"), [(1.0, 20), (1.5, 30), (3.0, 60)])
def test_clips_are_as_long_as_the_config_says(given, seconds, clip):
    agree(run("intra", given, {"intra.clip_seconds": seconds}).intra, slow_intra(given, clip=clip), slow_intra(given))


@pytest.mark.parametrize(("seconds", "shortest"), [(0.25, 5), (0.75, 15), (1.5, 30)])
def test_a_last_clip_that_is_shorter_than_the_config_allows_is_left_out(seconds, shortest):
    given = case(rows=8, lengths=[115, 90, 65, 115, 95, 55, 75, 85], dtype=torch.float64)
    found = run("intra", given, {"intra.min_clip_seconds": seconds}).intra
    agree(found, slow_intra(given, shortest=shortest), slow_intra(given))


def test_the_shortest_clip_is_capped_by_the_length_of_clips(given):
    found = run("intra", given, {"intra.clip_seconds": 0.5, "intra.min_clip_seconds": 1.0}).intra
    agree(found, slow_intra(given, clip=10, shortest=10), slow_intra(given, clip=10, shortest=1))


def test_clips_of_kit_have_25_frames():
    """2 s at 12.5 frames a second."""
    given = case(rows=6, lengths=[75, 60, 40, 75, 55, 30], fps=12.5, dtype=torch.float64)
    found = run("intra", given).intra
    for clip in (24, 26, 40):
        agree(found, slow_intra(given, clip=25, shortest=13), slow_intra(given, clip=clip, shortest=13))


def test_clips_of_kit_of_12_frames_are_under_a_second_and_left_out():
    """Clips of 12 frames last 0.96 s, of 13 frames 1.04 s."""
    given = case(rows=6, lengths=[12, 13, 37, 38, 25, 11], fps=12.5, dtype=torch.float64)
    clips = run("intra", given).intra_result.mined.clips
    assert list(zip(*(part.tolist() for part in clips), strict=True)) == [
        (1, 0, 13), (2, 0, 25), (3, 0, 25), (3, 25, 13), (4, 0, 25),
    ]  # fmt: skip


def test_a_shortest_clip_of_whole_frames_is_that_long_however_it_is_rounded():
    """In binary, 0.56 · 12.5 is a little more than 7."""
    given = case(rows=3, lengths=[7, 6, 8], fps=12.5, dtype=torch.float64)
    changes = {"intra.min_clip_seconds": 0.56, "intra.gamma": 1}
    assert run("intra", given, changes).intra_result.mined.clips.length.tolist() == [7, 8]


def test_the_intra_loss_acts_below_gamma_alone():
    """Generated motions that are half the real ones: some cosines lie below 0.8, some between, some above 0.95."""
    given = case(rows=10, dtype=torch.float64, apart=0.45, seed=1)
    _, made, true = numbers(given)
    cosines = [slow.cosine(a, b) for a, b in zip(made, true, strict=True)]
    assert min(cosines) < 0.8 < max(cosines) and any(0.8 < c < 0.95 for c in cosines)
    for gamma, other in ((0.8, 0.95), (0.95, 0.8), (1.0, 0.8)):
        found = run("intra", given, {"intra.gamma": gamma})
        agree(found.intra, slow_intra(given, gamma=gamma), slow_intra(given, gamma=other))
        assert found.intra_result.under_gamma.tolist() == [c < gamma for c in cosines]


@pytest.mark.parametrize(("epsilon", "other"), [(0.5, 0.85), (0.85, 0.95), (0.95, 0.85)])
def test_texts_above_epsilon_are_no_negatives(given, epsilon, other):
    angles = torch.tensor([0.0, 20, 40, 70, 95, 130, 170, 200]).deg2rad()
    batch = replace(given[2], sentence=torch.stack([angles.cos(), angles.sin()], dim=1))
    sentence = batch.sentence.tolist()

    def below(limit):
        return lambda i, j: slow.cosine(sentence[i], sentence[j]) <= limit

    found = run("inter", (*given[:2], batch), {"epsilon": epsilon})
    allowed = [sum(below(epsilon)(i, j) for j in range(8)) for i in range(8)]
    assert found.inter_result.admissible.tolist() == allowed
    assert allowed != [sum(below(other)(i, j) for j in range(8)) for i in range(8)]
    assert found.inter.item() == pytest.approx(slow.mean(slow_inter(given, below(epsilon), count=1)), abs=1e-9)


def test_distances_are_euclidean_where_the_config_says_so(given):
    found = [run(which, given, {"distance": "euclidean"}) for which in ("inter", "intra")]
    agree(found[0].inter, slow_inter(given, distance="euclidean"), slow_inter(given))
    agree(found[1].intra, slow_intra(given, distance="euclidean"), slow_intra(given))


def test_the_least_aligned_clip_is_the_furthest_in_the_distance_of_the_config(given):
    """Generated clips far from the origin in the direction of the real ones: near by cosine, far by Euclid."""
    space, generated, batch = given
    features = generated.features.detach().clone()
    features[:, :40] = 9 * batch.motion.features[:, :40]
    given = space, replace(generated, features=features), batch
    longer = [length >= 60 for length in batch.motion.lengths.tolist()]
    for distance, first in (("euclidean", True), ("cosine", False)):
        mined = run("intra", given, {"distance": distance, "intra.gamma": 1}).intra_result.mined
        starts = mined.clips.start[mined.anchor].tolist()
        assert [start == 0 for start, more in zip(starts, longer, strict=True) if more] == [first] * sum(longer)


def test_the_floor_is_the_smallest_denominator(given):
    found = run("inter", given, {"floor": 1.5}), run("intra", given, {"floor": 1.5})
    agree(found[0].inter, slow_inter(given, floor=1.5), slow_inter(given))
    agree(found[1].intra, slow_intra(given, floor=1.5), slow_intra(given))


def test_by_default_the_floor_is_a_ten_thousandth():
    """Rows 0 and 1 are one real motion: their ratio is the generated distance over the floor alone."""
    space, generated, batch = case(rows=2, dtype=torch.float64)
    real = Motion(batch.motion.features[:1].repeat(2, 1, 1), batch.motion.lengths)
    _, made, _ = numbers((space, generated, batch))
    found = run("inter", (space, generated, replace(batch, motion=real))).inter_result.mined.ratio
    assert found[0, 0].item() == pytest.approx(slow.apart(made[0], made[1], "cosine") / 1e-4, rel=1e-6)


@pytest.mark.parametrize("which", ["inter", "intra"])
def test_the_mean_is_over_the_batch_or_over_the_rows_whose_loss_is_not_zero(given, which):
    each = {"inter": slow_inter, "intra": slow_intra}[which](given)
    active = [loss for loss in each if loss > 0]
    assert 0 < len(active) < len(each)
    agree(getattr(run(which, given), which), each, active)
    agree(getattr(run(which, given, {"average": "active"}), which), active, each)


@pytest.mark.parametrize("which", ["inter", "intra"])
def test_rows_noised_above_max_noise_have_no_loss_and_stay_examples_for_the_others(given, which):
    noise = torch.tensor([0.1, 0.9, 0.5, 0.6, 0.2, 0.7, 0.3, 0.8])
    takes_part = [level <= 0.5 for level in noise.tolist()]
    if which == "inter":
        every = slow_inter(given)
        expected = [loss * part for loss, part in zip(every, takes_part, strict=True)]
    else:
        every, expected = slow_intra(given), slow_intra(given, takes_part=takes_part)
    agree(getattr(run(which, given, {"max_noise": 0.5}, noise_level=noise), which), expected, every)
    agree(getattr(run(which, given, noise_level=noise), which), every, expected)


def test_texts_are_compared_by_sentence_embeddings_or_in_the_space(given):
    space, _, batch = given
    batch = replace(batch, sentence=torch.ones(8, 3))
    text = [space.texts[one].tolist() for one in batch.text]

    def unlike_in_space(i, j):
        return slow.cosine(text[i], text[j]) <= 0.3

    assert run("inter", (*given[:2], batch), {"epsilon": 0.3}).inter == 0
    found = run("inter", (*given[:2], batch), {"epsilon": 0.3, "similarity": "space"}).inter
    agree(found, slow_inter(given, unlike_in_space), slow_inter(given))


def test_texts_are_compared_by_meaning_where_the_config_says_so(given):
    """Contradictions are negatives though alike, the same meaning is none though unlike; else epsilon decides."""
    _, _, batch = given
    rng = torch.Generator().manual_seed(1)
    angles = 3 * torch.rand(8, generator=rng)
    contradicts, same = torch.zeros(8, 8, dtype=torch.bool), torch.eye(8, dtype=torch.bool)
    for i, j in ((0, 1), (2, 3), (4, 6)):
        contradicts[i, j] = contradicts[j, i] = True
    for i, j in ((0, 5), (1, 7), (2, 6)):
        same[i, j] = same[j, i] = True
    batch = replace(
        batch,
        sentence=torch.stack([angles.cos(), angles.sin()], dim=1),
        meaning=FineMeaning(contradicts, same, [None] * 8),
    )
    sentence = batch.sentence.tolist()

    def by_sentence(i, j):
        return slow.cosine(sentence[i], sentence[j]) <= 0.85

    def by_meaning(i, j):
        return bool(contradicts[i, j]) or (by_sentence(i, j) and not same[i, j])

    found = [run("inter", (*given[:2], batch), {"similarity": name}) for name in ("sentence", "meaning")]
    for output, rule in zip(found, (by_sentence, by_meaning), strict=True):
        assert output.inter_result.admissible.tolist() == [
            sum(rule(i, j) for j in range(8) if j != i) for i in range(8)
        ]
    agree(found[1].inter, slow_inter(given, by_meaning), slow_inter(given, by_sentence))


def falsified(given) -> tuple[Batch, list]:
    """The batch with false copies of some captions, and their embeddings."""
    space, _, batch = given
    rng = torch.Generator().manual_seed(9)
    false = [f"false {i}" if i % 3 else None for i in range(8)]
    space.texts |= {text: torch.randn(4, generator=rng, dtype=torch.float64) for text in false if text}
    meaning = FineMeaning(torch.eye(8) > 1, torch.eye(8) > 0, false)
    return replace(batch, meaning=meaning), [text and space.texts[text].tolist() for text in false]


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({}, {}),
        ({"counterfactual.margin": 0.4}, {"margin": 0.4}),
        ({"distance": "euclidean"}, {"distance": "euclidean"}),
    ],
)
def test_the_counterfactual_loss_sets_each_caption_against_its_false_copy(given, changes, options):
    space, generated, _ = given
    batch, false = falsified(given)
    text, made, true = numbers(given)
    config = changed(AlignmentConfig(), {"inter.weight": 0, "intra.weight": 0, "counterfactual.weight": 0.5, **changes})
    output = Alignment(config, space)(generated, batch)
    other = [0] if not options else slow.counterfactual(text, false, made, true)
    agree(output.counterfactual, slow.counterfactual(text, false, made, true, **options), other)
    assert output.total.item() == pytest.approx(0.5 * output.counterfactual.item())


def test_rows_noised_too_much_have_no_counterfactual_loss_either(given):
    space, generated, _ = given
    batch, false = falsified(given)
    each = slow.counterfactual(numbers(given)[0], false, *numbers(given)[1:])
    noise = torch.tensor([0.1, 0.9, 0.2, 0.9, 0.1, 0.9, 0.1, 0.9])
    config = changed(AlignmentConfig(), {"counterfactual.weight": 0.5, "max_noise": 0.5})
    output = Alignment(config, space)(generated, batch, noise)
    agree(output.counterfactual, [loss * (i % 2 == 0) for i, loss in enumerate(each)], each)


def test_rows_noised_too_much_have_no_contrastive_loss_either(given):
    text, made, _ = numbers(given)
    every = slow.info_nce(text, made, always, temperature=0.1)
    noise = torch.tensor([0.1, 0.9, 0.2, 0.9, 0.1, 0.9, 0.1, 0.9])
    found = run("inter", given, {"inter.loss": "contrastive", "max_noise": 0.5}, noise_level=noise).inter
    agree(found, [loss * (i % 2 == 0) for i, loss in enumerate(every)], every)


def test_gamma_is_a_cosine_whatever_the_distance_is():
    given = case(rows=10, dtype=torch.float64, apart=0.45, seed=1)
    _, made, true = numbers(given)
    found = run("intra", given, {"distance": "euclidean"}).intra_result
    assert found.under_gamma.tolist() == [slow.cosine(a, b) < 0.8 for a, b in zip(made, true, strict=True)]
    assert 0 < found.under_gamma.sum() < 10
