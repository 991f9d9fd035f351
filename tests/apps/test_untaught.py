"""Sentences that a model was not taught are said to be so, with the nearest that it was."""

from pathlib import Path

import pytest

from atm.apps.untaught import SCRIPTED, taught_by, untaught
from atm.base.packaged import packaged
from atm.scripted.asked import asked_of
from atm.text import load_text_encoder

OWN = Path("runs/mine/model.safetensors")


@pytest.fixture(scope="module")
def minilm():
    return load_text_encoder()


def test_the_packaged_models_know_what_the_oracles_judge():
    """Scripted motion and its judges have one list of verbs: of every action that can be read, those."""
    judged = {
        action for action in taught_by(OWN) if asked_of(f"a person {action.replace('_', ' ')}s").program is not None
    }
    assert judged == set(SCRIPTED)


@pytest.mark.parametrize("sentence", ["a person walks forward", "someone jogs, sits down and gets up", "waving twice"])
def test_nothing_is_said_of_what_was_taught(sentence, minilm):
    assert untaught(sentence, packaged("generator"), minilm) is None


@pytest.mark.parametrize("sentence", ["asdf qwer zxcv", "一个人向前走", "ein Mann geht nach Hause", "he is happy", "5"])
@pytest.mark.parametrize("model", [packaged("generator"), OWN])
def test_a_sentence_without_an_action_is_said_to_have_none(sentence, model, minilm):
    said = untaught(sentence, model, minilm)
    assert said.startswith(f"no action that the model was taught was read in {sentence!r}") and "\n" not in said
    assert set(said.rpartition(": ")[2].split(", ")) <= {action.replace("_", " ") for action in taught_by(model)}


def test_an_action_beyond_those_that_were_taught_is_named_with_the_nearest(minilm):
    said = untaught("a person walks and swims", packaged("generator"), minilm)
    assert said.startswith("the model was not taught to swim ('a person walks and swims'); the nearest actions")
    near = untaught("a person kneels", packaged("generator"), minilm).rpartition(": ")[2].split(", ")
    assert len(near) == 3 and "crouch" in near


def test_of_a_model_of_other_data_only_a_missing_action_is_said(minilm):
    """HumanML3D shows swimming, and dances that have no name here."""
    assert untaught("a person swims", OWN, minilm) is None
    assert untaught("a person dances the macarena", OWN, minilm) is None
