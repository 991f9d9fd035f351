"""Duties of every generator, as checks that run on any of them: `check_generator`.

A check that a generator's `Capabilities` rule out is reported as not applicable.
"""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from atm.generators.parts.padding import evaluating
from atm.interface import Batch, Generator, StepOutput, TextEmbedding, TextEncoder
from atm.models import generator_names, load_generator, save_generator
from atm.motion import Motion
from atm.text import embed_nothing


class CheckResult(NamedTuple):
    """How one check went."""

    name: str
    """A sentence that is true where the check passes."""
    status: Literal["pass", "fail", "not applicable"]
    detail: str
    """Description of the result; empty if there is nothing to say."""


class _NotApplicable(Exception):
    """The generator does not claim what the check asks."""


def check_generator(generator: Generator, batch: Batch) -> list[CheckResult]:
    """Run every check; a generator with fresh weights will do.

    Args:
        generator: a module; left in the mode and with the gradients' absence that it came with.
        batch: at least two motions, of different lengths and with different texts.
    """
    if len(batch) < 2 or len(set(batch.motion.lengths.tolist())) < 2 or len(set(batch.text)) < 2:
        raise ValueError("the checks need at least two motions with different lengths and different texts")
    with evaluating(generator):
        return [_run(check, generator, batch) for check in CHECKS]


def loss_and_motion_have_the_shape_of_the_batch(generator: Generator, batch: Batch) -> None:
    step = _step(generator, batch)
    _expect(step.loss.shape == (len(batch),), f"loss is {tuple(step.loss.shape)}, expected ({len(batch)},)")
    _expect(bool(step.loss.isfinite().all()), "loss is not finite")
    if step.motion is not None:
        shape = tuple(step.motion.features.shape)
        _expect(shape == tuple(batch.motion.features.shape), f"motion is {shape}")
        _expect(bool((step.motion.lengths == batch.motion.lengths).all()), "lengths have changed")


def randomness_of_a_step_comes_from_its_generator(generator: Generator, batch: Batch) -> None:
    with torch.random.fork_rng(devices=[]):
        losses = []
        for seed in (0, 1):
            torch.manual_seed(seed)
            losses.append(_step(generator, batch).loss)
    _expect_equal(*losses, "the loss depends on torch's global generator")


def padding_does_not_change_a_step(generator: Generator, batch: Batch) -> None:
    if not generator.capabilities.ignores_padding:
        raise _NotApplicable("attends to padding")
    clean, junk = (
        replace(batch, motion=replace(batch.motion, features=_padded_with(batch.motion, value))) for value in (0.0, 1e3)
    )
    ours, theirs = _step(generator, clean), _step(generator, junk)
    _expect_equal(ours.loss, theirs.loss, "the loss depends on padding")
    if ours.motion is not None and theirs.motion is not None:
        mask = batch.motion.mask
        _expect_equal(ours.motion.features[mask], theirs.motion.features[mask], "the motion depends on padding")


def gradient_of_the_motion_reaches_the_weights(generator: Generator, batch: Batch) -> str:
    if not generator.capabilities.differentiable_motion:
        raise _NotApplicable("gives no differentiable motion")
    motion = _step(generator, batch).motion
    _expect(motion is not None, "the step gives no motion")
    weights = [weight for weight in generator.parameters() if weight.requires_grad]
    energy = motion.features[motion.mask].square().mean()
    _expect(energy.requires_grad, "the motion has no gradient")
    gradients = torch.autograd.grad(energy, weights, allow_unused=True)
    reached = sum(gradient is not None and bool(gradient.abs().sum() > 0) for gradient in gradients)
    _expect(reached > 0, "no weight has a gradient")
    return f"{reached} of {len(weights)} tensors"


def samples_are_finite_and_as_long_as_asked(generator: Generator, batch: Batch) -> None:
    motion = _sample(generator, batch)
    _expect(motion.lengths.tolist() == batch.motion.lengths.tolist(), f"lengths are {motion.lengths.tolist()}")
    longest, width = int(batch.motion.lengths.max()), batch.motion.features.shape[-1]
    _expect(motion.features.shape[1] >= longest, f"{motion.features.shape[1]} frames, asked for {longest}")
    _expect(motion.features.shape[2] == width, f"{motion.features.shape[2]} features, trained on {width}")
    _expect(bool(motion.features[motion.mask].isfinite().all()), "not every value is finite")


def a_seed_means_a_motion(generator: Generator, batch: Batch) -> None:
    first, again = _sample(generator, batch), _sample(generator, batch)
    other = _sample(generator, batch, seeds=[seed + 1000 for seed in _seeds(batch)])
    mask = first.mask
    _expect_equal(first.features[mask], again.features[mask], "the same seeds gave two motions", tolerance=0)
    _expect(not _equal(first.features[mask], other.features[mask]), "other seeds gave the same motion")


def a_batch_of_one_equals_its_row(generator: Generator, batch: Batch) -> None:
    """Check the shortest row: alone it has no padding."""
    row = int(batch.motion.lengths.argmin())
    together = _sample(generator, batch)
    length = batch.motion.lengths[row : row + 1]
    alone = generator.sample([batch.text[row]], length, seeds=[_seeds(batch)[row]])
    frames = int(length)
    _expect_equal(together.features[row, :frames], alone.features[0, :frames], "the row depends on its batch")


def guidance_zero_ignores_the_text(generator: Generator, batch: Batch) -> None:
    if not generator.capabilities.guidance:
        raise _NotApplicable("has no guidance")
    swapped = replace(batch, text=batch.text[1:] + batch.text[:1])
    without, other = (_sample(generator, which, guidance_scale=0.0) for which in (batch, swapped))
    mask = without.mask
    _expect_equal(without.features[mask], other.features[mask], "the text matters at guidance 0")


def guidance_one_equals_conditional(generator: Generator, batch: Batch) -> None:
    """Check guidance at 1, where models often take a short way: it must lead to where the formula for all other
    scales leads, which is seen a hair above 1. At 0 that formula must give what the text has no part in (above)."""
    if not generator.capabilities.guidance:
        raise _NotApplicable("has no guidance")
    at_one, above = (_sample(generator, batch, guidance_scale=scale) for scale in (1.0, 1.0 + _HAIR))
    mask = at_one.mask
    _expect_equal(at_one.features[mask], above.features[mask], "guidance 1 is not what scales close to 1 come near")


def the_text_changes_the_motion(generator: Generator, batch: Batch) -> None:
    swapped = replace(batch, text=batch.text[1:] + batch.text[:1])
    ours, theirs = _sample(generator, batch), _sample(generator, swapped)
    _expect(not _equal(ours.features[ours.mask], theirs.features[ours.mask]), "other texts gave the same motion")


def a_text_of_no_words_gives_a_motion(generator: Generator, batch: Batch) -> None:
    encoder = generator.text_encoder
    # Text encoders refuse the empty prompt of a user; the embedding of nothing is asked for otherwise.
    object.__setattr__(generator, "text_encoder", _SaysNothing(encoder))
    try:
        motion = _sample(generator, batch)
    finally:
        object.__setattr__(generator, "text_encoder", encoder)
    _expect(bool(motion.features[motion.mask].isfinite().all()), "not every value is finite")


def known_frames_are_kept(generator: Generator, batch: Batch) -> None:
    if not generator.capabilities.inbetweening:
        raise _NotApplicable("does not complete known motion")
    keep = batch.motion.mask.clone()
    keep[:, 1 : keep.shape[1] : 2] = False
    motion = _sample(generator, batch, known=batch.motion, keep=keep)
    made = motion.features[:, : keep.shape[1]]
    _expect_equal(made[keep], batch.motion.features[keep], "known frames were changed")


def frames_that_are_not_kept_do_not_matter(generator: Generator, batch: Batch) -> None:
    """Check that other frames do not matter, with the first half kept, so that a model of tokens has some to keep."""
    if not generator.capabilities.inbetweening:
        raise _NotApplicable("does not complete known motion")
    frames = torch.arange(batch.motion.features.shape[1], device=batch.motion.lengths.device)
    keep = frames < batch.motion.lengths[:, None] // 2
    junk = replace(batch.motion, features=batch.motion.features.masked_fill(~keep[..., None], 1e3))
    clean, dirty = (_sample(generator, batch, known=motion, keep=keep) for motion in (batch.motion, junk))
    mask = clean.mask
    _expect_equal(clean.features[mask], dirty.features[mask], "the motion depends on frames that are not kept")


def steps_that_are_asked_for_give_a_motion(generator: Generator, batch: Batch) -> str:
    """Check the fewest steps, and some more, which are never the same motion."""
    most = generator.capabilities.steps
    if most < 2:
        raise _NotApplicable("has no sampling steps to choose")
    few, more = (_sample(generator, batch, steps=steps) for steps in (1, min(most, _SOME_STEPS)))
    for motion in (few, more):
        _expect(bool(motion.features[motion.mask].isfinite().all()), "not every value is finite")
    _expect(not _equal(few.features[few.mask], more.features[more.mask]), "other steps gave the same motion")
    return f"1 to {most}"


def a_motion_without_a_length_finds_its_own(generator: Generator, batch: Batch) -> str:
    if not generator.capabilities.predicts_length:
        raise _NotApplicable("must be told how long a motion is")
    together = generator.sample(batch.text, seeds=_seeds(batch))
    _expect(int(together.lengths.min()) > 0, f"lengths are {together.lengths.tolist()}")
    _expect(bool(together.features[together.mask].isfinite().all()), "not every value is finite")
    row, seed = len(batch) - 1, _seeds(batch)[-1]
    alone = generator.sample(batch.text[row:], seeds=[seed])
    _expect(int(alone.lengths) == int(together.lengths[row]), "the length of a row depends on its batch")
    return f"lengths {together.lengths.tolist()}"


def a_saved_generator_gives_the_same_motion(generator: Generator, batch: Batch) -> None:
    name = getattr(getattr(generator, "config", None), "name", None)
    if name not in generator_names():
        raise _NotApplicable("stands in no table, so no file of it can be read")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.safetensors"
        save_generator(file, generator)
        loaded = load_generator(file, generator.text_encoder)
    ours, theirs = _sample(generator, batch), _sample(loaded, batch)
    _expect_equal(ours.features[ours.mask], theirs.features[ours.mask], "the file gives another motion", tolerance=0)


CHECKS: list[Callable[[Generator, Batch], str | None]] = [
    loss_and_motion_have_the_shape_of_the_batch,
    randomness_of_a_step_comes_from_its_generator,
    padding_does_not_change_a_step,
    gradient_of_the_motion_reaches_the_weights,
    samples_are_finite_and_as_long_as_asked,
    a_seed_means_a_motion,
    a_batch_of_one_equals_its_row,
    guidance_zero_ignores_the_text,
    guidance_one_equals_conditional,
    the_text_changes_the_motion,
    a_text_of_no_words_gives_a_motion,
    known_frames_are_kept,
    frames_that_are_not_kept_do_not_matter,
    steps_that_are_asked_for_give_a_motion,
    a_motion_without_a_length_finds_its_own,
    a_saved_generator_gives_the_same_motion,
]


_HAIR = 1e-6
"""Above 1 in single precision, and too little to be seen in a motion."""
_SOME_STEPS = 8
"""Steps enough that a model which draws tokens again draws others."""


def _run(check: Callable[[Generator, Batch], str | None], generator: Generator, batch: Batch) -> CheckResult:
    name = check.__name__.replace("_", " ")
    try:
        return CheckResult(name, "pass", check(generator, batch) or "")
    except _NotApplicable as reason:
        return CheckResult(name, "not applicable", str(reason))
    # Whatever a generator raises is a finding, and must not hide the checks that follow.
    except Exception as error:
        return CheckResult(
            name, "fail", f"{error}" if isinstance(error, _Failed) else f"{type(error).__name__}: {error}"
        )


class _SaysNothing:
    """A text encoder to which every caption is empty."""

    def __init__(self, encoder: TextEncoder):
        self.name, self.token_width, self.sentence_width = encoder.name, encoder.token_width, encoder.sentence_width
        self._nothing = embed_nothing(encoder)

    def __call__(self, text: list[str]) -> TextEmbedding:
        return TextEmbedding(*(part.expand(len(text), *part.shape[1:]) for part in self._nothing))

    def embed_nothing(self) -> TextEmbedding:
        return self._nothing


class _Failed(Exception):
    """The generator does not do what the check asks."""


def _expect(true: bool, otherwise: str) -> None:
    if not true:
        raise _Failed(otherwise)


def _expect_equal(ours: Tensor, theirs: Tensor, otherwise: str, tolerance: float = 1e-3) -> None:
    if not _equal(ours, theirs, tolerance):
        raise _Failed(f"{otherwise}: off by {(ours - theirs).abs().max():.3g}")


def _equal(ours: Tensor, theirs: Tensor, tolerance: float = 1e-3) -> bool:
    """Return within a share of the size of the values: other batch sizes sum in another order."""
    return torch.allclose(ours, theirs, rtol=tolerance, atol=tolerance * float(theirs.detach().square().mean().sqrt()))


def _step(generator: Generator, batch: Batch) -> StepOutput:
    return generator.training_step(batch, torch.Generator().manual_seed(7))


def _sample(generator: Generator, batch: Batch, **options) -> Motion:
    options = {"seeds": _seeds(batch)} | options
    return generator.sample(batch.text, batch.motion.lengths, **options)


def _seeds(batch: Batch) -> list[int]:
    return list(range(len(batch)))


def _padded_with(motion: Motion, value: float) -> Tensor:
    return motion.features.masked_fill(~motion.mask[..., None], value)
