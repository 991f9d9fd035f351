"""Plans of CausalFlow: timelines as numbers and back, where a latent is in its plan, and who writes them."""

import math
from dataclasses import replace

import pytest
import torch

from atm.generators.causal_flow.plan import (
    FEATURES,
    MOST_ACTIONS,
    OPEN,
    SIZES,
    VALUES,
    Plan,
    asked_turns,
    features,
    given_fields,
    plan_of,
    repetitions,
    timelines_of,
)
from atm.generators.causal_flow.planner import (
    LUCK,
    SURE,
    UNLIKELY,
    ActionEmbedding,
    Planner,
    _drawn_number,
    _frames,
    _measure,
    fitted,
)
from atm.interface import TextEmbedding
from atm.motion.program import Action, Program, TimedAction, timeline_from_json

WALK = TimedAction(Action("walk", count=4, direction="forward", path="straight"), 0.0, (0.5, 1.0, 1.5, 2.0, 2.5), 3.0)
KICK = TimedAction(Action("kick", count=1, side="left", direction="forward", speed="fast"), 3.0, (3.2, 4.0), 4.5)
STAND = TimedAction(Action("stand", seconds=2.0), 4.5, (), 6.0)


def test_a_plan_says_of_each_action_how_long_it_is_before_during_and_after_its_repetitions():
    plan = plan_of([(WALK, KICK, STAND)], torch.tensor([120]), 20.0)
    torch.testing.assert_close(
        plan.spans[0, :4], torch.tensor([[10.0, 40, 10], [4, 16, 10], [30, 0, 0], [0, 0, 0]]), atol=1e-3, rtol=0
    )
    assert plan.many.tolist() == [3]
    torch.testing.assert_close(plan.ends[0, :3], torch.tensor([60.0, 90, 120]))


def test_a_plan_as_a_timeline_says_what_it_was_made_from():
    (back,) = timelines_of(plan_of([(WALK, KICK, STAND)], torch.tensor([120]), 20.0), 20.0)
    assert [timed.action for timed in back] == [WALK.action, KICK.action, Action("stand")]
    for ours, theirs in zip(back, (WALK, KICK, STAND), strict=True):
        assert ours.marks == pytest.approx(theirs.marks) and ours.end == pytest.approx(theirs.end)


def test_a_motion_whose_actions_are_not_known_is_one_other_action():
    plan = plan_of([None], torch.tensor([50]), 20.0)
    assert plan.fields[0, 0].tolist() == [1, 0, 0, 0, 0, 0, 0] and plan.spans[0, 0].tolist() == [50, 0, 0]
    assert timelines_of(plan, 20.0) == [()]


def test_a_crop_has_the_actions_that_it_shows_most_of_and_their_times_in_it():
    """From second 3 on of the walk, kick and stand: the kick is first."""
    done = [timed.to_json() for timed in (WALK, KICK, STAND)]
    plan = plan_of([timeline_from_json(done, 3.0)], torch.tensor([60]), 20.0)
    assert plan.fields[0, :3, 0].tolist() == [1 + VALUES["verb"].index("kick"), 1 + VALUES["verb"].index("stand"), 0]
    torch.testing.assert_close(plan.spans[0, 0], torch.tensor([4.0, 16, 10]))


@pytest.mark.parametrize(
    ("verb", "count", "expected"),
    [("walk", 5, 5), ("sit_down", 2, 3), ("turn", None, 1), ("stand", None, 0), ("kick", None, 1), ("other", None, 0)],
)
def test_a_repetition_has_its_parts(verb, count, expected):
    """Who sits down twice stands up in between; a turn is one, however far."""
    fields = torch.tensor([1 + VALUES["verb"].index(verb), count or 0, 0, 0, 0, 0, 0])
    assert repetitions(fields).item() == expected


def test_a_latent_is_told_its_action_and_how_many_repetitions_are_left():
    plan = plan_of([(WALK, KICK)], torch.tensor([90]), 20.0)
    where, place = features(plan, 23, 4)
    assert where.shape == (1, 23, FEATURES)
    assert place[0].tolist() == [0] * 15 + [1] * 8
    half = where[0, :, : FEATURES // 2]
    # Frame 20.5 of the walk: 10.5 frames after the first foot lifts, a little over one step of ten frames.
    share, number, left, working = half[5, -4:].tolist()
    assert share == pytest.approx(10.5 / 40) and number == pytest.approx(1.05 / 2)
    assert left == pytest.approx(1.0) and working == 1.0  # 2.95 left, but all from 2 on is one
    assert half[0, -1] == 0.0 and half[14, -1] == 0.0
    assert half[12, -2].item() == pytest.approx((4 - 3.85) / 2, abs=1e-5)


def test_phases_turn_once_a_repetition_and_once_in_two():
    plan = plan_of([(WALK,)], torch.tensor([60]), 20.0)
    where, _ = features(plan, 60, 1)
    sine, cosine, half_sine, half_cosine = where[0, 10:50, 8:12].unbind(-1)
    number = (torch.arange(40) + 0.5) / 10
    torch.testing.assert_close(sine, (2 * torch.pi * number).sin(), atol=1e-4, rtol=0)
    torch.testing.assert_close(half_cosine, (torch.pi * number).cos(), atol=1e-4, rtol=0)
    assert sine.square().add(cosine.square()).sub(1).abs().max() < 1e-5
    assert half_sine[0] > 0


def test_durations_as_the_planner_knows_them_come_back_as_frames():
    plan = plan_of([(WALK, KICK, STAND)], torch.tensor([120]), 20.0)
    fields, spans = plan.fields[:, :3], plan.spans[:, :3]
    torch.testing.assert_close(_frames(_measure(spans, fields), fields), spans)
    assert _measure(spans, fields)[0, 0, 1].exp().item() == pytest.approx(11.0)  # ten frames a step, and one


def test_a_plan_fits_the_asked_length_quicker_slower_or_standing_at_its_end():
    plan = plan_of([(WALK,)] * 3, torch.tensor([60] * 3), 20.0)
    made = fitted(plan, torch.tensor([30, 66, 120]))
    torch.testing.assert_close(made.ends[:, -1], torch.tensor([30.0, 66, 120]))
    torch.testing.assert_close(made.spans[0, 0], plan.spans[0, 0] / 2)
    torch.testing.assert_close(made.spans[1, 0], plan.spans[1, 0] * 1.1)
    # 120 frames are twice as many: 81 of them walk, and 39 stand.
    torch.testing.assert_close(made.spans[2, 0], plan.spans[2, 0] * 1.35)
    assert made.fields[2, 1, 0] == 1 + VALUES["verb"].index("stand") and made.many.tolist() == [1, 1, 2]
    assert made.spans[2, 1].tolist() == pytest.approx([39.0, 0, 0])


def test_nobody_is_made_to_stand_who_lies():
    lying = TimedAction(Action("lie_down", count=1), 0.0, (0.3, 2.0), 2.5)
    made = fitted(plan_of([(lying,)], torch.tensor([50]), 20.0), torch.tensor([150]))
    assert made.many.tolist() == [1] and made.ends[0, -1] == 150


def test_what_is_unlikely_is_never_drawn_and_what_is_open_varies():
    likely = torch.tensor([0.5, 0.42, 0.5 * UNLIKELY - 0.01, 0.02]).log()
    luck = torch.linspace(0.001, 0.999, 1000)
    drawn = _drawn_number(likely.expand(1000, -1), luck)
    assert drawn.unique().tolist() == [0, 1]
    assert (drawn == 0).float().mean().item() == pytest.approx(0.5 / 0.92, abs=0.01)


def test_an_action_is_the_sum_of_its_fields():
    embedding = ActionEmbedding(8)
    one, other = torch.zeros(2, 7, dtype=torch.long).unbind()
    other = other.clone()
    other[1] = 3
    difference = embedding(other) - embedding(one)
    table = embedding.table.weight
    torch.testing.assert_close(difference, table[SIZES[0] + 3] - table[SIZES[0]])


class _Words:
    """Sentences of two words, as a language model of width 10 would give them."""

    states = torch.eye(10)

    def __call__(self, rows: list[tuple[int, int]]) -> TextEmbedding:
        tokens = self.states[torch.tensor(rows)]
        return TextEmbedding(tokens, torch.ones(tokens.shape[:2], dtype=torch.bool), tokens.mean(1))


def planner() -> Planner:
    torch.manual_seed(0)
    return Planner(32, 2, front_layers=1, layers=1, sentence=10, word=10, most_latents=49, frames=4)


def test_the_planner_learns_what_words_say():
    """Words 0 to 5 are verbs, words 6 to 9 the numbers 1 to 4, of which each lasts half a second longer."""
    model, words = planner(), _Words()
    verbs = ("bow", "clap", "crouch", "sit_down", "lie_down", "get_up")  # which need a number and no more
    rows = [(verb, number) for verb in range(6) for number in range(6, 10)]
    ends = [1.0 + 0.5 * (number - 5) for _, number in rows]
    timelines = [
        (TimedAction(Action(verbs[verb], count=number - 5), 0.0, (0.2, end - 0.3), end),)
        for (verb, number), end in zip(rows, ends, strict=True)
    ]
    plan = plan_of(timelines, torch.tensor([int(20 * end) for end in ends]), 20.0)
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    for step in range(300):
        # Told or not must not go with what is said.
        told = torch.full((len(rows),), step % 2 == 0)
        loss = model.loss(words(rows), plan, told).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    luck = torch.rand(len(rows), MOST_ACTIONS, LUCK, generator=torch.Generator().manual_seed(0))
    made = model(words(rows), None, luck)
    assert made.many.tolist() == [1] * len(rows)
    named = [1 + VALUES["verb"].index(verb) for verb in verbs]
    assert made.fields[:, 0, :2].tolist() == [[named[verb], number - 5] for verb, number in rows]
    assert made.ends[:, -1].tolist() == pytest.approx([20 * end for end in ends], abs=4)


@pytest.mark.parametrize(("margin", "first"), [(SURE - 0.1, "walk"), (SURE + 0.1, "other")])
def test_a_motion_without_a_plan_is_made_only_where_no_action_comes_near(margin, first):
    """And then it is all of the motion: `other` never comes second."""
    model = planner()
    torch.nn.init.zeros_(model.verb.weight)
    model.verb.bias.data = torch.full((SIZES[0],), -9.0)
    model.verb.bias.data[:2] = torch.tensor([-20.0, margin])
    model.verb.bias.data[1 + VALUES["verb"].index("walk")] = 0.0
    made = model(_Words()([(0, 1)]), None, torch.full((1, MOST_ACTIONS, LUCK), 0.5))
    assert made.fields[0, 0, 0] == 1 + VALUES["verb"].index(first)
    assert (made.fields[0, 1:, 0] != 1).all()


def test_an_action_that_is_drawn_has_all_that_it_needs_to_be_performed():
    """However likely none is: a walk has a number of steps, a direction and a path; a turn degrees and no number."""
    model = planner()
    torch.nn.init.zeros_(model.rest.weight)
    model.rest.bias.data = torch.cat([torch.tensor([50.0] + [0.0] * (size - 1)) for size in SIZES[1:]])
    torch.nn.init.zeros_(model.verb.weight)
    for verb, expected in (("walk", "verb count direction path speed"), ("turn", "verb direction degrees speed")):
        model.verb.bias.data = torch.nn.functional.one_hot(torch.tensor(1 + VALUES["verb"].index(verb)), SIZES[0]) * 9.0
        made = model(_Words()([(0, 1)]), None, torch.full((1, MOST_ACTIONS, LUCK), 0.5))
        given = [name for name, number in zip(VALUES, made.fields[0, 0].tolist(), strict=True) if number]
        assert given == expected.split()


def test_what_words_say_of_a_field_adds_up_with_what_is_usual():
    """So a number that was never seen with a verb can be said with it: no head sees more than a sum."""
    model = planner()
    one, other = torch.randn(2, 32, generator=torch.Generator().manual_seed(0))
    for both, first, second, nothing in zip(*map(model._rest, (one + other, one, other, 0 * one)), strict=True):
        torch.testing.assert_close(both - nothing, first + second - 2 * nothing)


def test_the_planner_writes_one_row_as_it_writes_many_and_fits_what_is_told():
    model, words = planner(), _Words()
    luck = torch.rand(3, MOST_ACTIONS, LUCK, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([40, 81, 190])
    rows = [(0, 3), (1, 4), (0, 1)]
    together = model(words(rows), lengths, luck)
    torch.testing.assert_close(together.ends[:, -1], lengths.float())
    for row, pair in enumerate(rows):
        alone = model(words([pair]), lengths[row : row + 1], luck[row : row + 1])
        assert alone.fields[0].tolist() == together.fields[row].tolist()
        torch.testing.assert_close(alone.spans[0], together.spans[row], atol=1e-3, rtol=1e-4)


def test_a_loss_counts_each_row_alone_and_no_padding():
    model, words = planner(), _Words()
    short, long = (
        plan_of([(WALK,)], torch.tensor([60]), 20.0),
        plan_of([(WALK, KICK, STAND)], torch.tensor([120]), 20.0),
    )
    both = Plan(*(torch.cat(parts) for parts in zip(short, long, strict=True)))
    told = torch.tensor([True, True])
    together = model.loss(words([(0, 3), (1, 4)]), both, told)
    torch.testing.assert_close(together[0], model.loss(words([(0, 3)]), short, told[:1])[0])
    torch.testing.assert_close(together[1], model.loss(words([(1, 4)]), long, told[1:])[0])


TURN = TimedAction(Action("turn", direction="left", degrees=180.0), 0.0, (0.4, 2.0), 2.4)
CURVE = TimedAction(
    Action("walk", count=4, direction="forward", path="curve", side="right", degrees=90.0), 2.4, (2.8, 4.8), 5.0
)


def test_turns_and_curves_ask_for_radians_to_the_right_and_straight_ways_for_none():
    asked = asked_turns(plan_of([(TURN, CURVE, KICK)], torch.tensor([120]), 20.0))
    assert asked[0, :3].tolist() == pytest.approx([-math.pi, math.pi / 2, 0.0])


def test_a_plan_keeps_the_actions_that_are_given_and_fills_what_they_leave_open():
    model, words = planner(), _Words()
    kick = Action("kick", count=3, side="left")
    circle, punch = Action("walk", count=9, path="circle"), Action("punch", side="both", speed="fast")
    luck = torch.rand(2, MOST_ACTIONS, LUCK, generator=torch.Generator().manual_seed(0))
    given = given_fields([Program((kick, circle, punch)), None])
    free = model(words([(0, 3), (1, 4)]), None, luck)
    plan = model(words([(0, 3), (1, 4)]), None, luck, given)
    first = [timed.action for timed in timelines_of(plan, 20.0)[0]]
    assert first[0] == replace(kick, direction="forward")
    assert first[1] == replace(circle, direction="forward", side="left", degrees=360.0)
    assert first[2] == replace(punch, direction="forward", count=first[2].count) and first[2].count
    assert len(first) == 3
    torch.testing.assert_close(plan.fields[1], free.fields[1])


def test_a_program_of_more_actions_than_a_plan_has_leaves_all_open():
    assert (given_fields([Program((Action("bow", 1),) * (MOST_ACTIONS + 1))]) == OPEN).all()


def test_nobody_hops_or_kicks_with_both_feet_and_nobody_jumps_to_a_side():
    """Whatever the network would like best."""
    model, words = planner(), _Words()
    torch.nn.init.zeros_(model.rest.weight)
    both, left = 1 + VALUES["side"].index("both"), 1 + VALUES["direction"].index("left")
    sides = sum(SIZES[1:2])
    with torch.no_grad():
        model.rest.bias[sides + both] = 50.0
        model.rest.bias[sides + SIZES[2] + left] = 50.0
    luck = torch.rand(1, MOST_ACTIONS, LUCK, generator=torch.Generator().manual_seed(0))
    actions = (Action("hop", 2), Action("kick", 1), Action("jump", 1), Action("wave", 1))
    plan = model(words([(0, 3)]), None, luck, given_fields([Program(actions)]))
    hop, kick, jump, wave = (timed.action for timed in timelines_of(plan, 20.0)[0])
    assert hop.side in ("left", "right") and kick.side in ("left", "right") and wave.side == "both"
    assert hop.direction in ("up", "forward") and jump.direction in ("up", "forward")
