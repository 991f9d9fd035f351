"""What a call does not compute again, and that its numbers are those of one that computes everything."""

from dataclasses import replace

import pytest
import torch
from cases import MeanFrameSpace, case

from atm.alignment import Alignment, AlignmentConfig, embed, intra
from atm.base.config import changed
from atm.interface import Batch, FineMeaning
from atm.motion import Motion
from atm.motion.layers import Normaliser
from atm.space import Space, SpaceConfig
from doubles import FakeTextEncoder

LENGTHS = [120, 64, 96, 15, 80, 44, 140, 60]
"""Motions of several clips, of one, and one of none."""
TEXT = [f"person number {i} walks {i} steps" for i in range(7)] + ["person number 0 walks 0 steps"]
CHANGES = {
    "none open": {},
    "few open": {"intra.gamma": 0.97},
    "all open": {"intra.gamma": 1},
    "inter alone": {"intra.weight": 0},
    "intra alone": {"inter.weight": 0, "intra.gamma": 0.98},
    "several": {"inter.negatives": 3, "intra.proxy_pairs": 3, "intra.gamma": 1},
    "own clips": {"intra.proxies_from": "motion", "intra.gamma": 0.98},
    "rules": {"intra.positive_rule": "numerator", "intra.negative_rule": "denominator", "inter.rule": "denominator",
              "intra.gamma": 0.98},
    "fixed margins": {"inter.margin": 0.2, "intra.margin": 0.3, "intra.gamma": 1},
    "detached": {"inter.detach": True, "intra.detach": True, "intra.gamma": 1},
    "euclidean": {"distance": "euclidean", "intra.gamma": 0.98},
    "contrastive": {"inter.loss": "contrastive", "intra.gamma": 0.98},
    "short clips": {"intra.clip_seconds": 1.0, "intra.min_clip_seconds": 0.5, "intra.gamma": 0.98},
    "noised": {"max_noise": 0.5, "intra.gamma": 1},
    "active": {"average": "active", "intra.gamma": 0.98},
    "counterfactual": {"counterfactual.weight": 0.3, "similarity": "meaning", "intra.gamma": 0.97},
}  # fmt: skip
"""The small space here is not trained: it calls all motions alike, 0.95 to 0.999, hence the values of gamma."""


@pytest.fixture(scope="module")
def space() -> Space:
    torch.manual_seed(0)
    config = SpaceConfig(width=32, feed_forward=48, layers=2, decoder_layers=1, heads=4, frames_per_token=4)
    return Space(config, FakeTextEncoder(), Normaliser.identity(263))


def a_batch(seed: int) -> tuple[Motion, Batch]:
    """Generated motions from far off to nearly right, and the batch with the real ones."""
    rng = torch.Generator().manual_seed(seed)
    lengths = torch.tensor(LENGTHS)
    real, other = torch.randn(2, 8, 140, 263, generator=rng)
    other = other + torch.randn(8, 1, 263, generator=rng)
    right = torch.linspace(0, 0.9, 8)[:, None, None]
    itself = torch.eye(8, dtype=torch.bool)
    false = [f"{text} backwards" if i % 3 else None for i, text in enumerate(TEXT)]
    batch = Batch(
        Motion(real, lengths), TEXT, torch.randn(8, 6, generator=rng), [f"clip {i}" for i in range(8)],
        first=[3 * i for i in range(8)], meaning=FineMeaning(~itself, itself, false),
    )  # fmt: skip
    return Motion(right * real + (1 - right) * other, lengths), batch


def numbers(alignment: Alignment, generated: Motion, batch: Batch) -> dict[str, torch.Tensor]:
    """Everything that a caller can see of a call: losses, what was mined, and the gradient."""
    features = generated.features.detach().clone().requires_grad_()
    rng = torch.Generator().manual_seed(1)
    output = alignment(Motion(features, generated.lengths), batch, torch.linspace(0, 1, 8), rng)
    output.total.backward()
    found = {"total": output.total, "gradient": features.grad, "real": output.embedded.real}
    for result in (output.inter_result, output.intra_result, output.counterfactual_result):
        if result is not None:
            found[type(result).__name__] = result.loss
    if output.inter_result is not None and output.inter_result.mined is not None:
        found["negative"] = output.inter_result.mined.index
    if output.intra_result is not None:
        found["under gamma"] = output.intra_result.under_gamma
        if (mined := output.intra_result.mined) is not None:
            found |= {"anchor": mined.anchor, "positive": mined.positive.index, "negative clip": mined.negative.index}
            found |= {"z clips": mined.z_generated, "z real clips": mined.z_real}
    return {name: value.detach() for name, value in found.items()}


@pytest.mark.parametrize("few", [0.0, torch.inf], ids=["graph of all", "chosen again"])
@pytest.mark.parametrize("change", CHANGES)
def test_losses_mining_and_gradients_are_those_of_computing_everything(space, monkeypatch, change, few):
    """The second call of each batch finds its real crops in the memory."""
    config = changed(AlignmentConfig(), {"inter.weight": 0.5, "intra.weight": 0.25, **CHANGES[change]})
    batches = [a_batch(seed) for seed in (1, 2)]
    # Other motions under the ids of the first batch: what the memory holds is of a crop, not of a row.
    batches[1][1].first = [1000 + i for i in range(8)]
    monkeypatch.setattr(intra, "FEW", 0.0)
    plain = Alignment(config, space)
    expected = [numbers(plain, generated, replace(batch, first=None)) for generated, batch in batches]
    monkeypatch.setattr(intra, "FEW", few)
    quick = Alignment(config, space)
    for _ in range(2):
        for (generated, batch), known in zip(batches, expected, strict=True):
            found = numbers(quick, generated, batch)
            assert found.keys() == known.keys()
            for name, value in known.items():
                torch.testing.assert_close(found[name], value, atol=1e-5, rtol=1e-4, msg=f"{change}: {name}")


def test_the_cases_above_open_none_few_and_all_rows(space):
    """Else they would say nothing."""
    generated, batch = a_batch(1)
    opened = {
        change: int(numbers(Alignment(changed(AlignmentConfig(), CHANGES[change]), space), generated, batch)[
            "under gamma"
        ].sum())
        for change in ("none open", "few open", "all open")
    }  # fmt: skip
    assert opened["none open"] == 0 and 1 <= opened["few open"] <= 3 and opened["all open"] == 8


class CountingSpace(MeanFrameSpace):
    """Notes the lengths of the motions of each call."""

    def __init__(self, texts: dict):
        super().__init__(texts)
        self.read: list[list[int]] = []

    def encode_motion(self, motion: Motion) -> torch.Tensor:
        self.read.append(motion.lengths.tolist())
        return super().encode_motion(motion)


def counting(lengths: list[int], **changes) -> tuple[CountingSpace, Alignment, Motion, Batch]:
    plain, generated, batch = case(rows=len(lengths), lengths=lengths)
    space = CountingSpace(plain.texts)
    config = changed(AlignmentConfig(), {"intra.gamma": 1.0, **changes})
    return space, Alignment(config, space), generated, replace(batch, first=[0] * len(lengths))


def test_a_crop_and_its_clips_are_embedded_once_and_apart_from_other_crops():
    """In a batch the last bits of one would depend on the others, and a resumed run would not be the stopped one."""
    space, alignment, generated, batch = counting([90, 60])
    alignment(generated, batch)
    # The generated motions, each real one, the real clips of each (10 frames are no clip), the generated clips.
    assert space.read == [[90, 60], [90], [60], [40, 40], [40, 20], [40, 40, 40, 20]]
    space.read.clear()
    alignment(generated, batch)
    assert space.read == [[90, 60], [40, 40, 40, 20]]


@pytest.mark.parametrize("change", [{"first": [0, 5]}, {"ids": ["0", "another"]}])
def test_another_crop_or_another_motion_is_embedded_anew(change):
    space, alignment, generated, batch = counting([90, 60])
    alignment(generated, batch)
    space.read.clear()
    alignment(generated, replace(batch, **change))
    assert space.read == [[90, 60], [60], [40, 20], [40, 40, 40, 20]]


def test_another_length_from_the_same_frame_is_another_crop():
    space, alignment, generated, batch = counting([90, 60])
    alignment(generated, batch)
    space.read.clear()
    shorter = torch.tensor([90, 56])
    alignment(replace(generated, lengths=shorter), replace(batch, motion=replace(batch.motion, lengths=shorter)))
    assert space.read == [[90, 56], [56], [40], [40, 40, 40]]


def test_a_batch_that_does_not_say_which_crops_it_holds_is_embedded_each_time():
    space, alignment, generated, batch = counting([90, 60])
    for _ in range(2):
        space.read.clear()
        alignment(generated, replace(batch, first=None))
        assert space.read == [[90, 60], [90, 60], [40, 40, 40, 20], [40, 40, 40, 20]]


def test_crops_are_embedded_again_when_the_weights_of_the_space_have_changed():
    space, alignment, generated, batch = counting([90, 60])
    before = alignment(generated, batch).embedded.real
    with torch.no_grad():
        space.weight.mul_(2)
    after = alignment(generated, batch).embedded.real
    torch.testing.assert_close(after, 2 * before)


def test_only_so_many_crops_are_remembered(monkeypatch):
    monkeypatch.setattr(embed, "REMEMBERED_CROPS", 2)
    space, alignment, generated, batch = counting([90, 60, 80], **{"intra.weight": 0})
    totals = [alignment(generated, batch).total for _ in range(3)]
    assert totals[0] == totals[1] == totals[2]
    alone = [read for read in space.read if len(read) == 1]
    assert alone == [[90], [60], [80], [90], [60]], "of three the first goes, and when it comes back the second"


def test_clips_of_a_batch_in_which_no_motion_is_under_gamma_are_not_embedded():
    space, alignment, generated, batch = counting([90, 60], **{"intra.gamma": -1.0})
    alignment(generated, batch)
    assert space.read == [[90, 60], [90], [60]]


def test_where_few_are_under_gamma_only_the_chosen_clips_are_embedded_with_a_gradient():
    """One motion of ten is wrong; its anchor and its proxies are three clips of the 21."""
    space, alignment, generated, batch = counting([80] * 9 + [100], **{"intra.gamma": 0.5, "inter.weight": 0})
    features = batch.motion.features.clone()
    features[4] = -features[4] + generated.features[4].detach()
    made = Motion(features.requires_grad_(), generated.lengths)
    output = alignment(made, batch)
    mined, place = output.intra_result.mined, 4
    assert output.intra_result.under_gamma.nonzero().tolist() == [[4]] and output.intra > 0
    space.read.clear()
    output.total.backward()
    chosen = {int(index) for index in (mined.anchor[place], mined.positive.index[place], mined.negative.index[place])}
    assert space.read == [mined.clips.length[sorted(chosen)].tolist()]
    owners = {int(mined.clips.owner[clip]) for clip in chosen}
    assert {row for row in range(10) if made.features.grad[row].abs().sum() > 0} == owners


def test_where_many_are_under_gamma_no_clip_is_embedded_twice():
    space, alignment, generated, batch = counting([80, 80, 80])
    output = alignment(generated, batch)
    space.read.clear()
    output.total.backward()
    assert output.intra > 0 and space.read == []


def test_the_gradient_of_few_clips_can_be_asked_for_twice():
    """Gradients of single terms are looked at before the step's own backward pass."""
    space, generated, _ = case()
    z = embed.Embedder(space).motion_of_few(generated)
    first, second = (torch.autograd.grad(z[:2].sum(), generated.features, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)
    (whole,) = torch.autograd.grad(space.encode_motion(generated)[:2].sum(), generated.features)
    torch.testing.assert_close(first, whole)
