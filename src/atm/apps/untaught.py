"""Warnings of what a model was not taught, before it makes a motion that looks as if it had understood."""

from pathlib import Path

import torch.nn.functional as F

from atm.base.packaged import packaged
from atm.interface import TextEncoder
from atm.meaning import parse_meaning
from atm.meaning.vocabulary import ACTION_OF

SCRIPTED = (
    "walk", "run", "jump", "hop", "turn", "sit", "stand_up", "lie", "crouch", "kick", "punch", "wave", "raise", "bow",
    "clap", "stand",
)  # fmt: skip
"""Actions of scripted motion, by the names that `atm.meaning` has for them: all that the packaged models know."""
NAMED = 3
"""Nearest actions that are named."""


def taught_by(model: Path) -> tuple[str, ...]:
    """Return the actions that a model's sentences may name: those of scripted motion for what comes with the package,
    else all that can be read."""
    return SCRIPTED if model.parent == packaged("generator").parent else tuple(sorted(set(ACTION_OF.values())))


def untaught(sentence: str, model: Path, encoder: TextEncoder) -> str | None:
    """Return a line on what of a sentence a model was not taught, with the nearest actions that it was; None: nothing.

    Args:
        sentence: of a user, in any language.
        model: the generator's file. Of one that does not come with the package only this is known, that it was taught
            some action: what its data may have shown beyond those that can be read here is not held against a sentence.
        encoder: what the model hears sentences by; it says what is near.
    """
    taught = taught_by(model)
    actions = [event.action for event in parse_meaning(sentence).events]
    beyond = list(dict.fromkeys(action for action in actions if action not in taught)) if taught == SCRIPTED else []
    if actions and not beyond:
        return None
    near = ", ".join(_nearest(f"to {_words(beyond[0])}" if beyond else sentence, taught, encoder))
    if beyond:
        verbs = " or ".join(map(_words, beyond))
        return f"the model was not taught to {verbs} ({sentence!r}); the nearest actions that it knows: {near}"
    return (
        f"no action that the model was taught was read in {sentence!r}, and it reads English alone; the nearest that "
        f"it knows: {near}"
    )


def _nearest(said: str, taught: tuple[str, ...], encoder: TextEncoder) -> list[str]:
    vectors = F.normalize(encoder([said, *(f"to {_words(action)}" for action in taught)]).sentence, dim=-1)
    order = (vectors[1:] @ vectors[0]).argsort(descending=True)
    return [_words(taught[place]) for place in order[:NAMED].tolist()]


def _words(action: str) -> str:
    return action.replace("_", " ")
