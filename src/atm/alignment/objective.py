"""The losses put together: embed, three terms, weighted sum. This is what plugs into a generator's training step."""

import torch
from jaxtyping import Float
from torch import Tensor

from atm.alignment.config import AlignmentConfig
from atm.alignment.counterfactual import counterfactual
from atm.alignment.diagnostics import AlignmentOutput
from atm.alignment.embed import Crop, Embedded, Embedder, crops_of
from atm.alignment.gather import AllGather, Gathered, all_gather_with_gradient, mean_over_processes, processes
from atm.alignment.inter import inter_motion
from atm.alignment.intra import intra_motion
from atm.alignment.negatives import caption_ids
from atm.base.errors import InputError
from atm.interface import Batch, TextMotionSpace
from atm.motion import Motion


class Alignment:
    """The alignment objective (the paper's eq. 8 without L_mse) in a frozen space.

    Not a module: it has nothing to train and nothing to save. A call waits for the device twice, to read lengths and
    how many motions are under gamma (`intra_motion`), and with `gather` to count the rows of the other processes. Where
    few are, its backward pass waits once more, to learn which clips they chose.

    Args:
        config: which losses, rules, margins and weights.
        space: where distances are measured. A call leaves its mode and its weights as they were (see `Embedder`).
        all_gather: (N, ...) of this process to (W, N, ...) of all, with gradients, where `config.gather` asks for it;
            None: torch's own.
    """

    def __init__(self, config: AlignmentConfig, space: TextMotionSpace, *, all_gather: AllGather | None = None):
        self.config = config
        self.space = space
        self._embed = Embedder(space)
        self._all_gather = all_gather or all_gather_with_gradient

    def __call__(
        self,
        motion: Motion | None,
        batch: Batch,
        noise_level: Float[Tensor, "B"] | None = None,
        rng: torch.Generator | None = None,
    ) -> AlignmentOutput:
        """Compare generated motions with the batch that they were generated for.

        Margins and ratios are differences of small distances, so autocast is off here, and motions are read in the
        precision of the space's weights, at least float32 (see `Embedder`).

        Args:
            motion: the generator's estimate of the clean motions, row for row as in the batch, published units.
            batch: texts, their sentence embeddings, and the real motions; `meaning` too, where the config reads it.
            noise_level: 0 to 1 per row; only `max_noise` reads it.
            rng: of the random negatives of the plain triplet form, None: torch's own. The paper's losses draw nothing.

        Raises:
            InputError: there is no motion.
            ValueError: the generated motions are not as long as the real ones, or the config asks for a meaning that
                the batch does not carry.
        """
        if motion is None:
            raise InputError("the alignment losses need a motion, and this model's training step gives none")
        if self.config.reads_meaning() and batch.meaning is None:
            raise ValueError("similarity = meaning and counterfactual.weight > 0 need batches with a `meaning`")
        lengths = _same_lengths(motion, batch.motion)
        with torch.autocast(motion.features.device.type, enabled=False), self._embed.frozen():
            return self._terms(motion, batch, lengths, noise_level, rng)

    def _terms(self, motion, batch, lengths, noise_level, rng) -> AlignmentOutput:
        config = self.config
        crops = crops_of(batch, lengths)
        seen = self.embed(motion, batch, crops)
        takes_part = torch.ones(len(batch), dtype=torch.bool, device=seen.text.device)
        if noise_level is not None:
            takes_part = noise_level <= config.max_noise
        inter = intra = false = None
        if config.inter.weight > 0:
            inter = inter_motion(config, seen, takes_part, rng)
        if config.intra.weight > 0:
            all_gather = self._all_gather if self._gathers else None
            intra = intra_motion(
                config, self._embed, motion, batch.motion, lengths, crops, seen, takes_part, all_gather
            )
        if config.counterfactual.weight > 0:
            false = counterfactual(config, self._embed, seen, batch.meaning.counterfactual, takes_part)
        # Keeps the graph whole where no loss is on: the other processes may wait for this one's part.
        zero = seen.generated.sum() * 0
        means = [zero if result is None else self._mean(result.loss) for result in (inter, intra, false)]
        weights = [config.inter.weight, config.intra.weight, config.counterfactual.weight]
        total = sum((config.every * weight * mean for weight, mean in zip(weights, means, strict=True)), start=zero)
        return AlignmentOutput(total, *means, config, seen, inter, intra, false)

    def embed(self, motion: Motion, batch: Batch, crops: list[Crop] | None = None) -> Embedded:
        """Embed a batch; with `gather` that of all processes. `crops`: which the real motions are, see `Embedder`."""
        generated = self._embed.motion(motion)
        real = self._embed.real(batch.motion, crops).to(generated.dtype)
        text = self._embed.text(batch.text).to(generated)
        caption = caption_ids(batch.text).to(generated.device, non_blocking=True)
        if not self._gathers:
            return Embedded(text, generated, real, caption, batch.sentence, batch.meaning, slice(0, len(batch)))
        gathered = Gathered(self._all_gather, len(batch), generated.device)
        parts = [gathered(part) for part in (text, generated, real, caption, batch.sentence)]
        return Embedded(*parts, None, gathered.own)

    @property
    def _gathers(self) -> bool:
        return self.config.gather and processes() > 1

    def _mean(self, loss: Float[Tensor, "B"]) -> Float[Tensor, ""]:
        if self.config.average == "batch":
            return loss.mean()
        active = (loss > 0).sum()
        if self._gathers:
            return loss.sum() / mean_over_processes(self._all_gather, active).clamp_min(1 / processes())
        return loss.sum() / active.clamp_min(1)


def _same_lengths(generated: Motion, real: Motion) -> list[int]:
    if generated.lengths.shape == real.lengths.shape:
        lengths, own = torch.stack([real.lengths, generated.lengths]).tolist()
    else:
        lengths, own = real.lengths.tolist(), generated.lengths.tolist()
    if lengths != own:
        raise ValueError(f"generated and real motions must have the same lengths row by row, got {own} and {lengths}")
    return lengths
