"""Motions and captions as the losses read them: embeddings in a space that is frozen while it is measured in."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from atm.alignment.clips import Clips, find_clips
from atm.interface import Batch, FineMeaning, TextMotionSpace
from atm.motion import Motion

REMEMBERED = 100_000
"""Captions whose embeddings are kept, at most: more than HumanML3D has, and 100 MB at 256 numbers each."""
REMEMBERED_CROPS = 250_000
"""Crops of real motions whose embeddings are kept, at most: HumanML3D has 210,000, about nine of each motion. With
four clips each, 1.3 GB at 256 numbers each."""

Crop = tuple[str, int, int]
"""A real motion of a batch: its entry in the data set, the first frame of it, how many frames."""


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
    stopped. So is a crop of a real motion, with its clips, where the batch says which crop it is. Weights that are
    changed, or moved to another device, empty the memory.

    A motion is read in the precision of the space's weights, whatever its own is and whether autocast is on; where the
    space has none, in the motion's own, at least float32. So a space in float64 gives embeddings in float64.
    """

    def __init__(self, space: TextMotionSpace):
        self.space = space
        self._captions, self._motions, self._clips = _Memory(), _Memory(), _Memory()
        self._versions: list[tuple[int, int]] = []
        """Places and versions of the weights that the memory is of."""
        self._is_frozen = False

    def motion(self, motion: Motion) -> Float[Tensor, "B E"]:
        """Embed motions; differentiable."""
        features = motion.features.to(self._precision(motion.features.dtype))
        with self.frozen():
            return _precise(self.space.encode_motion(replace(motion, features=features)))

    def motion_of_few(self, motion: Motion) -> Float[Tensor, "B E"]:
        """Embed motions of which few will have a gradient.

        Differentiable once, and the same numbers as those of `motion` without gradient. No graph is kept: the backward
        pass embeds those that have a gradient again. It waits for the device, to learn which they are.
        """
        return _EmbeddedAgain.apply(motion.features, motion.lengths, self.motion)

    @torch.no_grad()
    def real(self, motion: Motion, crops: Sequence[Crop] | None) -> Float[Tensor, "B E"]:
        """Embed real motions, each crop once in the space's life; None: all of them, now."""
        if crops is None:
            return self.motion(motion)
        with self.frozen():
            found = self._motions.recall(crops, lambda row: self.motion(motion[row : row + 1]), most=REMEMBERED_CROPS)
        return torch.cat(found)

    @torch.no_grad()
    def real_clips(
        self, motion: Motion, clips: Clips, crops: Sequence[Crop] | None, frames: dict[str, int]
    ) -> Float[Tensor, "N E"]:
        """Embed the clips of real motions, those of a crop once in the space's life.

        Args:
            motion: whole.
            clips: all of them, as `find_clips` cuts these motions with `frames`.
            crops: of each motion; None: all clips are embedded now.
            frames: the same in all calls.
        """
        if crops is None:
            return self.motion(clips.cut(motion))

        def of_row(row: int) -> Float[Tensor, "n E"]:
            alone = find_clips(torch.tensor([crops[row][2]]), **frames)
            return self.motion(alone.cut(motion[row : row + 1]))

        rows = clips.owner.unique().tolist()
        asked = [crops[row] for row in rows]
        with self.frozen():
            found = self._clips.recall(asked, lambda place: of_row(rows[place]), most=REMEMBERED_CROPS)
        return torch.cat(found)

    @torch.no_grad()
    def text(self, text: list[str]) -> Float[Tensor, "B E"]:
        """Embed captions, each once in the space's life."""

        def of_row(row: int) -> Float[Tensor, "E"]:
            return _precise(self.space.encode_text([text[row]]))[0]

        with self.frozen():
            return torch.stack(self._captions.recall(text, of_row, most=REMEMBERED))

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Freeze the space, and forget what was embedded with other weights.

        Each method does it; whoever calls several does it around them, since walking through a space takes longer than
        to embed a short motion.
        """
        if self._is_frozen:
            yield
            return
        modules, weights = [], []
        if isinstance(self.space, nn.Module):
            modules, weights = list(self.space.modules()), list(self.space.parameters())
        # Tensors of inference mode cannot be changed in place, and count no versions.
        versions = [(weight.data_ptr(), 0 if weight.is_inference() else weight._version) for weight in weights]
        if self._versions != versions:
            for memory in (self._captions, self._motions, self._clips):
                memory.clear()
            self._versions = versions
        modules = [module for module in modules if module.training]
        weights = [weight for weight in weights if weight.requires_grad]
        self._is_frozen = True
        try:
            # Evaluation mode, too: with dropout on, one motion would land in two places of the space. No no_grad():
            # the gradient must pass through the space to reach the generator.
            for module in modules:
                module.training = False
            for weight in weights:
                weight.requires_grad_(False)
            yield
        finally:
            self._is_frozen = False
            for module in modules:
                module.training = True
            for weight in weights:
                weight.requires_grad_(True)

    def _precision(self, own: torch.dtype) -> torch.dtype:
        weights = self.space.parameters() if isinstance(self.space, nn.Module) else ()
        floating = (weight.dtype for weight in weights if weight.is_floating_point())
        return next(floating, torch.promote_types(own, torch.float32))


def crops_of(batch: Batch, lengths: Sequence[int]) -> list[Crop] | None:
    """Return which crops the real motions of a batch are; None where it does not say."""
    return None if batch.first is None else list(zip(batch.ids, batch.first, lengths, strict=True))


class _Memory(OrderedDict[Hashable, Tensor]):
    """Embeddings by what was embedded."""

    def recall(self, keys: Sequence[Hashable], embed: Callable[[int], Tensor], *, most: int) -> list[Tensor]:
        """Return what is known of each key; `embed` tells the rest, by its place. The oldest go where there are more
        than `most`."""
        for place, key in enumerate(keys):
            if key not in self:
                self[key] = embed(place)
        found = [self[key] for key in keys]
        while len(self) > most:
            self.popitem(last=False)
        return found


class _EmbeddedAgain(torch.autograd.Function):
    """Embeddings without a graph; the backward pass embeds the rows that have a gradient again, with one."""

    @staticmethod
    def forward(ctx, features: Tensor, lengths: Tensor, embed: Callable[[Motion], Tensor]) -> Tensor:
        ctx.save_for_backward(features, lengths)
        ctx.embed = embed
        return embed(Motion(features, lengths))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        features, lengths = ctx.saved_tensors
        result = torch.zeros_like(features)
        rows = (gradient != 0).any(dim=1).nonzero()[:, 0]
        if len(rows):
            part = features[rows].requires_grad_()
            with torch.enable_grad(), torch.autocast(features.device.type, enabled=False):
                embedded = ctx.embed(Motion(part, lengths[rows]))
            result[rows] = torch.autograd.grad(embedded, part, gradient[rows])[0]
        return result, None, None


def _precise(z: Float[Tensor, "B E"]) -> Float[Tensor, "B E"]:
    """Convert to at least single precision: margins and ratios are differences of small distances."""
    return z.to(torch.promote_types(z.dtype, torch.float32))
