"""The learning rate as a function of the step."""

import pytest

from atm.alignment import AlignmentConfig
from atm.base.config import override
from atm.base.errors import InputError
from atm.generators.mdm.config import MDMConfig
from atm.training.config import TrainConfig
from atm.training.schedule import learning_rate


def config(**changes) -> TrainConfig:
    return TrainConfig(model=MDMConfig(), **({"learning_rate": 2.0, "steps": 100} | changes))


def test_the_rate_rises_over_the_warm_up_and_then_stays():
    """As published for MoMask: (step + 1) / (warm-up + 1) of it."""
    rates = [learning_rate(config(warmup_steps=3), step) for step in range(6)]
    assert rates == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0, 2.0])


def test_each_milestone_multiplies_the_rate():
    stepped = config(milestones=(10, 20), milestone_factor=0.1)
    assert [learning_rate(stepped, step) for step in (9, 10, 19, 20, 99)] == pytest.approx([2, 0.2, 0.2, 0.02, 0.02])


def test_the_cosine_is_half_way_down_at_half_time():
    """From 2 to a tenth of it: 2 * (0.1 + 0.9 / 2) in the middle, and 2 * 0.1 at the end."""
    decaying = config(cosine_to=0.1)
    assert learning_rate(decaying, 0) == pytest.approx(2.0)
    assert learning_rate(decaying, 50) == pytest.approx(1.1)
    assert learning_rate(decaying, 99) == pytest.approx(0.2, abs=0.002)


def test_windows_do_not_show_what_captions_count():
    losses = AlignmentConfig(counterfactual_weight=0.1)
    with pytest.raises(InputError, match="does not show all that its caption counts"):
        override(config().model_copy(update={"alignment": losses}), ["window=64"])
    assert override(config().model_copy(update={"alignment": AlignmentConfig()}), ["window=64"]).window == 64


def test_windows_and_padding_exclude_each_other():
    with pytest.raises(InputError, match="windows of 64 frames leave nothing to pad"):
        override(config(), ["window=64", "pad_to=196"])


def test_batches_are_sorted_by_length_or_by_action():
    with pytest.raises(InputError, match="set either sort_over=1 or alike_over=1"):
        override(config(), ["sort_over=8", "alike_over=8"])
