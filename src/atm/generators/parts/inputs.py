"""Common steps of every generator when it is made, and when it is asked for motions."""

from collections.abc import Sized

from torch import nn

from atm.base.errors import InputError
from atm.interface import TextEncoder


def keep_encoder(model: nn.Module, text_encoder: TextEncoder, name: str, called: str) -> None:
    """Give a model its frozen language model, as `model.text_encoder`.

    Not as a submodule: no weights, optimiser or train() calls include it.

    Args:
        model: a generator, or a stage of one.
        text_encoder: that was given.
        name: of the one that the model's config names.
        called: how a message calls the model.

    Raises:
        InputError: the two are not the same.
    """
    if text_encoder.name != name:
        raise InputError(f"{called} reads texts with {name!r}, but was given the encoder {text_encoder.name!r}")
    object.__setattr__(model, "text_encoder", text_encoder)


def check_rows(
    text: list[str], seeds: list[int], *each: Sized | None, known: object = None, keep: object = None
) -> None:
    """Refuse a call whose arguments do not speak of the same rows: a mistake in the program that calls.

    Args:
        text, seeds: one per row.
        each: what else there is one of per row (lengths, motions); None where it was left out.
        known, keep: of a motion to complete; there are both or neither.
    """
    counts = [len(part) for part in each if part is not None]
    if any(count != len(text) for count in (len(seeds), *counts)):
        others = "".join(f", {count} of what else there is" for count in counts)
        raise ValueError(f"{len(text)} texts, {len(seeds)} seeds{others}: expected one per row")
    if (known is None) != (keep is None):
        raise ValueError("known and keep come together")


def check_steps(steps: int | None, most: int) -> None:
    """Refuse a number of sampling steps that a model cannot go.

    Args:
        steps: that are asked for; None: as many as the model's config says.
        most: `Capabilities.steps` of the model.

    Raises:
        InputError: fewer than 1 or more than `most`, or any for a model that has none to choose.
    """
    if steps is None or 1 <= steps <= most:
        return
    if most == 0:
        raise InputError(
            f"this model has no sampling steps to choose, got {steps}: leave steps out, or take a model that has them "
            "(mdm, motiondiffuse, mld, momask, causal_flow)"
        )
    raise InputError(f"steps must be 1 to {most} for this model, got {steps}")


def guidance_scale_or_default(asked: float | None, own: float, *, guided: bool) -> float:
    """Return the scale that counts: what was asked for, or the model's own; 1 for one that was not trained for
    guidance."""
    if not guided:
        return 1.0
    return own if asked is None else asked
