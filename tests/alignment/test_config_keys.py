"""The keys of the config, and those that it had before it had groups: both are read, wherever a config is read."""

import re

import pytest
import yaml

from atm.alignment import AlignmentConfig
from atm.alignment.config import MINILM_EPSILON
from atm.base.config import changed, load, override, save, validate
from atm.base.errors import InputError
from atm.training.config import TrainConfig
from atm.training.presets import PAPER_WEIGHT, SMALL_WEIGHT, preset

FORMER = {
    "inter_weight": (0.5, ["inter.weight"]),
    "inter_loss": ("triplet", ["inter.loss"]),
    "negatives": (3, ["inter.negatives"]),
    "negative_rule": ("numerator", ["inter.rule"]),
    "temperature": (0.3, ["inter.temperature"]),
    "detach_negative": (True, ["inter.detach"]),
    "intra_weight": (0.5, ["intra.weight"]),
    "gamma": (0.3, ["intra.gamma"]),
    "clip_seconds": (1.5, ["intra.clip_seconds"]),
    "min_clip_seconds": (0.5, ["intra.min_clip_seconds"]),
    "proxy_pairs": (5, ["intra.proxy_pairs"]),
    "positive_proxy_rule": ("denominator", ["intra.positive_rule"]),
    "negative_proxy_rule": ("numerator", ["intra.negative_rule"]),
    "proxies_from": ("motion", ["intra.proxies_from"]),
    "detach_proxies": (True, ["intra.detach"]),
    "counterfactual_weight": (0.5, ["counterfactual.weight"]),
    "margin": (0.3, ["inter.margin", "intra.margin", "counterfactual.margin"]),
}
"""A value for each flat key, and where it stands now."""

SAVED = """\
model: {name: mdm}
data: scripted
alignment:
  space: runs/space
  inter_weight: 0.1
  intra_weight: 0.05
  distance: cosine
  epsilon: 0.99
  sentence_encoder: minilm
  similarity: sentence
  counterfactual_weight: 0.0
  gamma: 0.7
  margin: adaptive
  inter_loss: hard_negative
  temperature: 0.1
  negatives: 3
  proxy_pairs: 1
  negative_rule: ratio
  positive_proxy_rule: ratio
  negative_proxy_rule: ratio
  proxies_from: batch
  gather: false
  clip_seconds: 2.0
  min_clip_seconds: 1.0
  max_noise: 1.0
  detach_negative: false
  detach_proxies: false
  average: batch
  floor: 0.0001
"""
"""What a run of 2026-11-23 left as config.yaml, as far as the losses go: every flat key, and no group."""


def at(config: AlignmentConfig, key: str):
    for part in key.split("."):
        config = getattr(config, part)
    return config


@pytest.mark.parametrize("old", FORMER)
def test_a_former_key_sets_what_took_its_place_and_nothing_else(old):
    value, keys = FORMER[old]
    assert AlignmentConfig.former[old] == tuple(keys)
    for config in (
        AlignmentConfig(**{old: value}),
        override(AlignmentConfig(), [f"{old}={value}"]),
        changed(AlignmentConfig(), {old: value}),
        validate(AlignmentConfig, {old: value}, source="a file"),
    ):
        assert [at(config, key) for key in keys] == [value] * len(keys)
        assert config == changed(AlignmentConfig(), dict.fromkeys(keys, value))


def test_every_former_key_is_read():
    assert AlignmentConfig.former.keys() == FORMER.keys()


def test_the_config_of_an_old_run_is_read_and_saved_in_groups(tmp_path):
    (tmp_path / "config.yaml").write_text(SAVED)
    config = load(TrainConfig, tmp_path / "config.yaml")
    losses = {"inter.weight": 0.1, "intra.weight": 0.05, "inter.negatives": 3, "intra.gamma": 0.7, "epsilon": 0.99}
    named = {"space": "runs/space", "sentence_encoder": "minilm"}
    assert config.alignment == changed(AlignmentConfig(), losses | named)
    save(config, tmp_path / "again.yaml")
    data = yaml.safe_load((tmp_path / "again.yaml").read_text())["alignment"]
    assert data["inter"]["weight"] == 0.1 and not AlignmentConfig.former.keys() & data.keys()
    assert load(TrainConfig, tmp_path / "again.yaml") == config


def test_on_the_command_line_old_and_new_keys_reach_the_same_place_and_the_later_wins():
    config = preset("mdm_small")
    for settings in (["alignment.inter_weight=0.3"], ["alignment.inter.weight=0.3"]):
        assert override(config, settings).alignment.inter.weight == 0.3
    both = ["alignment.inter.weight=0.3", "alignment.inter_weight=0.4"]
    assert override(config, both).alignment.inter.weight == 0.4
    assert override(config, both[::-1]).alignment.inter.weight == 0.3


def test_a_fixed_margin_of_old_is_that_of_all_losses_and_one_of_them_can_be_another():
    config = override(AlignmentConfig(), ["margin=0.3", "intra.margin=adaptive"])
    assert (config.inter.margin, config.intra.margin, config.counterfactual.margin) == (0.3, "adaptive", 0.3)


def test_a_file_that_gives_a_key_under_both_names_is_refused_in_one_sentence():
    said = "alignment: inter_weight is the former name of inter.weight: give one of them, not both (in a file)"
    data = {"model": {"name": "mdm"}, "alignment": {"inter_weight": 0.1, "inter": {"weight": 0.2}}}
    with pytest.raises(InputError, match=re.escape(said)):
        validate(TrainConfig, data, source="a file")
    data["alignment"]["inter"] = {"rule": "numerator"}
    losses = validate(TrainConfig, data, source="a file").alignment.inter
    assert (losses.weight, losses.rule) == (0.1, "numerator")


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("inter.wieght", "inter.weight"),
        ("inter_wieght", "inter.weight"),
        ("gama", "intra.gamma"),
        ("itner.weight", "inter.weight"),
        ("clip_second", "intra.clip_seconds"),
        ("proxy_pair", "intra.proxy_pairs"),
        ("negatve_rule", "inter.rule"),
        ("epsilom", "epsilon"),
    ],
)
def test_a_typo_is_answered_with_the_nearest_new_key(typo, meant):
    said = f"unknown key 'alignment.{typo}': did you mean 'alignment.{meant}'"
    with pytest.raises(InputError, match=re.escape(said)):
        override(preset("mdm_small_atm"), [f"alignment.{typo}=1"])


def test_a_key_that_several_groups_have_is_answered_with_all_of_them():
    with pytest.raises(InputError, match="'inter.weight' or 'intra.weight' or 'counterfactual.weight'"):
        override(AlignmentConfig(), ["weight=1"])


def test_a_value_out_of_range_is_told_by_its_new_key():
    with pytest.raises(InputError, match="intra.gamma = 3: Input should be less than or equal to 1"):
        override(AlignmentConfig(), ["gamma=3"])


def test_a_former_key_of_something_that_is_no_group_is_refused():
    with pytest.raises(InputError, match="inter_weight is the former name of inter.weight, and inter holds no keys: 3"):
        validate(AlignmentConfig, {"inter_weight": 1, "inter": 3}, source="a file")


def test_a_copy_with_a_field_that_there_is_not_is_refused():
    """It would be the config as it was, and nobody would notice."""
    with pytest.raises(ValueError, match="AlignmentConfig has no field gamma"):
        AlignmentConfig().model_copy(update={"gamma": 0.5})


def test_presets_weigh_both_losses_by_their_size():
    """The paper's lambda for the published sizes, ten times that and another epsilon for the small ones."""
    assert (PAPER_WEIGHT, SMALL_WEIGHT, MINILM_EPSILON) == (0.01, 0.1, 0.99)
    paper, small = (preset(f"mdm_{size}_atm").alignment for size in ("humanml3d", "small"))
    assert paper == AlignmentConfig()
    asked = {"inter.weight": 0.1, "intra.weight": 0.1, "epsilon": 0.99, "sentence_encoder": "minilm"}
    assert small == changed(AlignmentConfig(), asked)
    assert preset("mld_small_atm").alignment == changed(small, {"max_noise": 0.93})
