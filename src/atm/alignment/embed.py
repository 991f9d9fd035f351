"""Motions and captions as the losses read them: embeddings in a space that is frozen while it is measured in."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from atm.interface import FineMeaning, TextMotionSpace
from atm.motion import Motion

REMEMBERED = 100_000
"""Captions whose embeddings are kept, at most: more than HumanML3D has, and 100 MB at 256 numbers each."""


@dataclass(frozen=True)
class Embedded:
    """A batch in the space, row for row; with `gather` the rows of all processes."""

    text: Float[Tensor, "B E"]
    generated: Float[Tensor, "B E"]
    """The only one that carries a gradient."""
    real: Float[Tensor, "B E"]
    caption: Int[Tensor, "B"]
    """Number of each text's caption (`caption_ids`)."""
    sentence: Float[Tensor, "B S"]
    """Sentence embeddings of the texts, from the language model."""
    meaning: FineMeaning | None
    own: slice
    """Rows of this process."""


class Embedder:
    """A space to measure in: in evaluation mode, and without gradients of its weights.

    Both hold while it is asked; afterwards its owner finds it as it was. The gradient passes through it to a motion.

    A caption is embedded once, when it is first met, and alone: in a batch its last bits would depend on how long the
    others are, and a run that is resumed, and meets its captions in another company, would not be the run that was
    stopped. Weights that are changed, or moved to another device, empty the memory.

    A motion is read in the precision of the space's weights, whatever its own is and whether autocast is on; where the
    space has none, in the motion's own, at least float32. So a space in float64 gives embeddings in float64.
    """

    def __init__(self, space: TextMotionSpace):
        self.space = space
        self._known: OrderedDict[str, Tensor] = OrderedDict()
        self._weights_were: object = None

    def motion(self, motion: Motion) -> Float[Tensor, "B E"]:
        """Embed motions; differentiable."""
        features = motion.features.to(self._precision(motion.features.dtype))
        with self._frozen():
            return _precise(self.space.encode_motion(replace(motion, features=features)))

    @torch.no_grad()
    def text(self, text: list[str]) -> Float[Tensor, "B E"]:
        """Embed captions, each once in the space's life."""
        if self._weights_were != (now := self._weights()):
            self._known.clear()
            self._weights_were = now
        new = [caption for caption in dict.fromkeys(text) if caption not in self._known]
        if new:
            with self._frozen():
                self._known |= {caption: _precise(self.space.encode_text([caption]))[0] for caption in new}
        embedded = torch.stack([self._known[caption] for caption in text])
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return embedded

    def _weights(self) -> object:
        """Return something that differs whenever a weight does."""
        if not isinstance(self.space, nn.Module):
            return None
        weights = self.space.parameters()
        # Tensors of inference mode cannot be changed in place, and count no versions.
        return [(weight.data_ptr(), 0 if weight.is_inference() else weight._version) for weight in weights]

    def _precision(self, own: torch.dtype) -> torch.dtype:
        weights = self.space.parameters() if isinstance(self.space, nn.Module) else ()
        floating = (weight.dtype for weight in weights if weight.is_floating_point())
        return next(floating, torch.promote_types(own, torch.float32))

    @contextmanager
    def _frozen(self) -> Iterator[None]:
        if not isinstance(self.space, nn.Module):
            yield
            return
        modules = [module for module in self.space.modules() if module.training]
        weights = [weight for weight in self.space.parameters() if weight.requires_grad]
        try:
            # Evaluation mode, too: with dropout on, one motion would land in two places of the space. No no_grad():
            # the gradient must pass through the space to reach the generator.
            self.space.eval().requires_grad_(False)
            yield
        finally:
            for module in modules:
                module.training = True
            for weight in weights:
                weight.requires_grad_(True)


def _precise(z: Float[Tensor, "B E"]) -> Float[Tensor, "B E"]:
    """Convert to at least single precision: margins and ratios are differences of small distances."""
    return z.to(torch.promote_types(z.dtype, torch.float32))
