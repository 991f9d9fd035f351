"""CausalFlow from outside: its step, its sampling with kept keys and values, prefixes, plans, and what it refuses."""

from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError

from atm.base.errors import InputError
from atm.generators.causal_flow.config import CausalFlowConfig
from atm.generators.causal_flow.flow import NEAREST, euler, velocity_error
from atm.generators.causal_flow.model import CausalFlow
from atm.generators.causal_flow.plan import plan_of
from atm.generators.causal_flow.presets import causal_flow_humanml3d, causal_flow_kit, causal_flow_small
from atm.generators.causal_flow.transformer import Memory
from atm.interface import Batch, Generator
from atm.models.check import check_generator
from atm.motion import Motion
from atm.motion.layers import Normaliser
from atm.motion.program import Action, TimedAction
from doubles import ABOUT_COMPLETION, FakeTextEncoder

TINY = {
    "width": 16,
    "heads": 2,
    "feed_forward": 24,
    "front_layers": 1,
    "layers": 2,
    "head_width": 16,
    "head_layers": 1,
    "latent_width": 10,
    "planner_width": 16,
    "planner_heads": 2,
    "planner_front_layers": 1,
    "planner_layers": 1,
    "max_frames": 40,
    "prefix_latents": 3,
    "text_encoder": "fake",
}
TEXT = ["a person walks forward", "somebody sits"]


def make(width: int = 263, **changes) -> CausalFlow:
    torch.manual_seed(3)
    config = causal_flow_small().model_copy(update=TINY | changes)
    return CausalFlow(config, FakeTextEncoder(8), Normaliser.identity(width)).eval()


def make_batch(lengths: tuple[int, ...] = (24, 14), width: int = 263) -> Batch:
    motion = Motion(torch.randn(len(lengths), max(lengths), width, generator=seeded()), torch.tensor(lengths))
    return Batch(motion, TEXT[: len(lengths)], torch.zeros(len(lengths), 4), [str(row) for row in range(len(lengths))])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("width", [263, 251])
def test_it_passes_every_check_but_that_of_completion(width):
    model = make(width)
    assert isinstance(model, Generator)
    results = check_generator(model, make_batch(width=width))
    assert {r.name for r in results if r.status == "not applicable"} == ABOUT_COMPLETION
    assert [r for r in results if r.status == "fail"] == []


@pytest.mark.parametrize("preset", [causal_flow_small, causal_flow_humanml3d, causal_flow_kit])
def test_a_preset_is_a_config_that_fits_together(preset):
    assert CausalFlowConfig(**preset().model_dump()) == preset()


def test_the_small_one_has_at_most_nine_million_weights():
    model = CausalFlow(causal_flow_small(), FakeTextEncoder(384, "minilm"), Normaliser.identity(263))
    assert sum(weight.numel() for weight in model.parameters()) <= 9_000_000


def test_the_gradient_of_a_steps_motion_reaches_text_transformer_and_head():
    model = make()
    motion = model.training_step(make_batch(), seeded()).motion
    motion.features[motion.mask].square().mean().backward()
    for part in (model.read_word, model.read_latent, model.trunk.layers[0].into, model.head.into, model.head.out):
        assert part.weight.grad.abs().sum() > 0


def test_the_motion_of_a_step_without_noise_is_what_the_head_estimates():
    """At the latents' own values the estimate of a head with gain 1 and shift 0 is the latent: the motion comes back
    as the latents give it."""
    model = make(flow_times=1)
    torch.nn.init.zeros_(model.head.out.weight)
    model.head.out.bias.data = torch.tensor([1.0] * 10 + [0.0] * 10)
    batch = make_batch()
    z, counts = model._encoded(batch.motion)
    model.training_step(batch, seeded())
    expected = model.latents.decode(z, counts)
    made = model.head(z, model.head.modulation(torch.zeros(2, 6, 16)), model.head.time(torch.ones(2, 6)))
    torch.testing.assert_close(model.latents.decode(made, counts), expected)


def test_an_error_of_the_estimate_is_larger_in_the_velocity():
    """v = (z_hat - x) / (1 - tau): an error e of z_hat is e / (1 - tau) in v, up to where the weight ends."""
    z_hat, z = torch.full((3, 2), 3.0), torch.full((3, 2), 1.0)
    tau = torch.tensor([0.0, 0.5, 0.99])
    expected = torch.tensor([4.0, 16.0, 4 / (1 - NEAREST) ** 2])[:, None].expand(3, 2)
    torch.testing.assert_close(velocity_error(z_hat, z, tau), expected)


def test_the_last_euler_step_ends_on_the_estimate():
    """x + (1/S) v with v = (z_hat - x) / (1 - (S-1)/S) is z_hat; before, each step goes its share of what is left."""
    assert euler(lambda x, step: torch.full_like(x, 7.0), torch.zeros(1), 4) == 7.0
    seen = []
    euler(lambda x, step: (seen.append(float(x)), torch.full_like(x, 8.0))[1], torch.zeros(1), 4)
    assert seen == [0.0, 2.0, 4.0, 6.0]


def test_the_loss_of_a_row_is_weighted_by_its_latents():
    """Two rows of 6 and 4 latents with errors of 1 each: their mean is the mean over all ten, 1."""
    there = torch.arange(6) < torch.tensor([6, 4])[:, None]
    rows = CausalFlow._per_row(torch.ones(10), there)
    torch.testing.assert_close(rows, torch.tensor([6 * 2 / 10, 4 * 2 / 10]))


def test_kept_keys_and_values_give_what_the_whole_sequence_gives():
    model = make()
    text = model.text_encoder(TEXT)
    front = model._front(text, torch.tensor([False, True]), None)
    tokens = torch.randn(2, 5, 16, generator=seeded())
    memory = Memory(front, 5)
    one_by_one = torch.stack([model.trunk.go_on(tokens[:, place], place, memory) for place in range(5)], dim=1)
    torch.testing.assert_close(one_by_one, model.trunk(tokens, front))


def test_what_comes_later_is_not_seen():
    model = make()
    front = model._front(model.text_encoder(TEXT), torch.tensor([False, False]), None)
    tokens = torch.randn(2, 5, 16, generator=seeded())
    changed = tokens.clone()
    changed[:, 3:] += 5.0
    ours, theirs = model.trunk(tokens, front), model.trunk(changed, front)
    torch.testing.assert_close(ours[:, :3], theirs[:, :3])
    assert not torch.allclose(ours[:, 3], theirs[:, 3])


def test_padding_of_texts_and_motions_is_not_seen():
    """The second text has fewer words than the first: beside it it is padded."""
    model = make()
    lengths = torch.tensor([32, 9])
    both = model.sample(TEXT, lengths, seeds=[3, 4])
    alone = model.sample(TEXT[1:], lengths[1:], seeds=[4])
    torch.testing.assert_close(both.features[1, :9], alone.features[0], atol=1e-4, rtol=1e-4)


def test_a_step_ignores_what_stands_in_the_padding_even_nan():
    batch = make_batch()
    junk = batch.motion.features.masked_fill(~batch.motion.mask[..., None], float("nan"))
    dirty = replace(batch, motion=replace(batch.motion, features=junk))
    clean, other = (make().training_step(each, seeded()).loss for each in (batch, dirty))
    torch.testing.assert_close(clean, other, rtol=0, atol=0)


def test_a_row_has_the_noise_of_its_seed_whatever_stands_beside_it():
    model = make()
    for both, alone, other in zip(model._drawn([5, 9]), model._drawn([9]), model._drawn([5]), strict=True):
        torch.testing.assert_close(both[1], alone[0], rtol=0, atol=0)
        assert not torch.equal(other[0], alone[0])


def test_a_motion_that_goes_on_depends_on_the_end_of_the_one_before_and_on_no_more():
    """Three latents of four frames are seen: 12 frames."""
    model = make()
    before = Motion(torch.randn(1, 30, 263, generator=seeded()), torch.tensor([30]))

    def goes_on(changed: slice) -> torch.Tensor:
        features = before.features.clone()
        # The turn and the rotations stay: what follows is turned along with the motion before.
        features[:, changed, 4:67] += 1.0
        lengths = torch.tensor([16])
        return model.sample(TEXT[:1], lengths, seeds=[0], prefix=replace(before, features=features)).features[..., :67]

    same = goes_on(slice(0, 0))
    assert same.shape[1] == 16
    torch.testing.assert_close(goes_on(slice(0, 18)), same)
    assert not torch.allclose(goes_on(slice(18, 30)), same)
    assert not torch.allclose(model.sample(TEXT[:1], torch.tensor([16]), seeds=[0]).features[..., :67], same)


def test_padding_behind_a_prefix_is_not_seen():
    model = make()
    lengths = torch.tensor([20, 13])
    before = Motion(torch.randn(2, 20, 263, generator=seeded()), lengths)
    together = model.sample(TEXT, torch.tensor([8, 8]), seeds=[0, 1], prefix=before)
    row = Motion(before.features[1:, :13], lengths[1:])
    alone = model.sample(TEXT[1:], torch.tensor([8]), seeds=[1], prefix=row)
    torch.testing.assert_close(together.features[1], alone.features[0], atol=1e-3, rtol=1e-3)


def test_rotations_of_a_motion_that_goes_on_are_those_of_both_as_one():
    """Published rotations count from where a motion faces when it begins: features of the two, one behind the other,
    are the features that follow from all their root and position columns."""
    from atm.generators.causal_flow.columns import features_of_core

    model = make()
    before = model.sample(TEXT[:1], torch.tensor([16]), seeds=[1])
    after = model.sample(TEXT[:1], torch.tensor([16]), seeds=[2], prefix=before)
    whole = torch.cat([before.features, after.features], dim=1)
    torch.testing.assert_close(features_of_core(whole[..., :67], model.skeleton)[:, 17:], after.features[:, 1:])


def planned(*, verb: str = "walk", begin: float = 0.0, end: float = 1.0, **fields):
    return TimedAction(Action(verb, **fields), begin, (begin + 0.2, end - 0.2), end)


def test_a_motion_without_a_length_is_as_long_as_its_plan():
    model = make()
    timeline = (planned(end=0.5, count=1), planned(verb="clap", begin=0.5, end=1.3, count=1))
    assert model.sample(TEXT[:1], seeds=[0], timelines=[timeline]).lengths.tolist() == [26]


def test_a_timeline_that_is_given_is_what_the_motion_is_made_from():
    """Row 0 is the model's own in both; row 1 is not."""
    model = make()
    lengths = torch.tensor([24, 24])
    own = model.sample(TEXT, lengths, seeds=[0, 1])
    other = model.sample(TEXT, lengths, seeds=[0, 1], timelines=[None, (planned(end=1.2, count=3, side="left"),)])
    torch.testing.assert_close(own.features[0], other.features[0], atol=1e-4, rtol=1e-4)
    assert not torch.allclose(own.features[1], other.features[1], atol=1e-3)


def test_a_row_with_a_plan_is_trained_on_it():
    """Another number of steps is another input; without timelines both batches are the same."""
    model, batch = make(condition_dropout=0.0), make_batch()
    timelines = [[(planned(end=1.2, count=count),), None] for count in (1, 7)]
    first, second = (model.training_step(replace(batch, timelines=t), seeded()) for t in timelines)
    assert not torch.allclose(first.loss[0], second.loss[0])
    torch.testing.assert_close(first.loss[1], second.loss[1])


def test_it_says_whether_it_goes_on_from_a_motion_and_how_much_it_plans_at_once():
    assert make().capabilities.goes_on and not make(prefix_rate=0.0).capabilities.goes_on
    actions = tuple(planned(begin=0.3 * k, end=0.3 * (k + 1), count=1) for k in range(make().capabilities.plans + 1))
    lengths = torch.tensor([40])
    assert plan_of([actions[:-1]], lengths, 20.0).many.item() == make().capabilities.plans
    assert plan_of([actions], lengths, 20.0).fields[0, 0, 0] == 1  # too many: not planned


def test_a_step_that_learns_the_plan_alone_moves_nothing_but_the_planner():
    model = make(learn="plan")
    batch = replace(make_batch(), timelines=[(planned(end=1.2),), (planned(end=0.7),)])
    step = model.training_step(batch, seeded())
    assert step.motion is None and not model.capabilities.differentiable_motion
    step.loss.mean().backward()
    moved = {name.split(".")[0] for name, weight in model.named_parameters() if weight.grad is not None}
    assert moved == {"planner"}


def test_a_step_decodes_its_motion_only_when_it_is_asked_for_it(monkeypatch):
    model, calls = make(), []
    decode = model.latents.decode
    monkeypatch.setattr(model.latents, "decode", lambda *given: calls.append(given) or decode(*given))
    step = model.training_step(make_batch(), seeded())
    step.loss.mean()
    assert not calls
    assert step.motion is step.motion and len(calls) == 1


def test_the_gradient_of_a_steps_motion_does_not_reach_the_planner_and_that_of_its_loss_does():
    model = make()
    step = model.training_step(replace(make_batch(), timelines=[(planned(end=1.2, count=2),)] * 2), seeded())
    step.motion.features.square().mean().backward(retain_graph=True)
    assert model.planner.verb.weight.grad is None
    step.loss.mean().backward()
    assert model.planner.verb.weight.grad.abs().sum() > 0 and model.planner.rest.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("luck", "text", "plan"), [(0.0, True, True), (0.3, True, False), (0.6, False, False), (0.98, False, True)]
)
def test_rows_with_a_plan_lose_the_text_often_and_the_plan_sometimes(luck, text, plan):
    """Of rows: 5 % nothing, 35 % the plan alone, 55 % both, 5 % the text alone."""
    model = make(condition_dropout=0.1, text_dropout=0.4)
    known = plan_of([(planned(count=2),), None], torch.tensor([20, 20]), 20.0)
    hidden = model._hide(known, torch.tensor([luck, luck]))
    assert (hidden.text[0].item(), hidden.plan[0].item()) == (text, plan)
    assert hidden.text[1].item() == (luck < 0.1) and not hidden.plan[1]


@pytest.mark.parametrize(
    ("changes", "call", "message"),
    [
        ({"length_dropout": 0.0}, {}, "say how many frames"),
        ({"prefix_rate": 0.0}, {"prefix": 263}, "goes on from no motion"),
        ({}, {"prefix": 251}, "made for 263 features per frame, but the motion has 251"),
        ({}, {"timelines": []}, "one timeline per text, 1, got 0"),
        ({}, {"lengths": 41}, "motions of 1 to 40 frames, but 41 to 41"),
    ],
)
def test_what_it_cannot_do_is_said(changes, call, message):
    model = make(**changes)
    lengths = torch.tensor([call["lengths"]]) if "lengths" in call else None
    if "prefix" in call:
        lengths = torch.tensor([8])
    prefix = Motion(torch.zeros(1, 8, call["prefix"]), torch.tensor([8])) if "prefix" in call else None
    with pytest.raises(InputError, match=message):
        model.sample(TEXT[:1], lengths, seeds=[0], prefix=prefix, timelines=call.get("timelines"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 20, "heads": 4}, "multiple of twice the heads"),
        ({"planner_width": 18}, "planner_width 18 must be a multiple of twice the planner_heads"),
        ({"prefix_latents": 0}, "needs prefix_latents > 0"),
    ],
)
def test_a_config_that_does_not_fit_together_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        CausalFlowConfig(**changes)
