"""Training batches: random motions, captions and crops, drawn from (seed, step) alone.

Nothing is remembered between steps: a run that resumes at step s sees the very batches that it would have seen.
"""

import numpy as np
import torch

from atm.data.humanml3d import MotionDataset
from atm.interface import Batch, TextEncoder
from atm.motion import Motion

UNIT = 4
"""Lengths are multiples of this many frames, and a third of the draws is one unit shorter (as published)."""
MAX_FRAMES = 196
"""Longest crop, in frames (as published)."""


class BatchSampler:
    """Batch number `step` of a run.

    Args:
        dataset: what is drawn from; every motion once per epoch, in another order each time.
        text_encoder: gives the sentence embeddings of the drawn captions.
        batch_size: rows of a batch. A data set smaller than that gives smaller batches.
        seed: of order, captions and crops.
        pad_to: frames of a batch; None: its longest motion. Models that attend to padding need a fixed number.
        sort_over: number of batches among whose motions those of like length are put together: less padding, so
            faster; but the motions of a batch are then alike in length. 1: not sorted (as published).
    """

    def __init__(
        self,
        dataset: MotionDataset,
        text_encoder: TextEncoder,
        *,
        batch_size: int,
        seed: int,
        pad_to: int | None = None,
        sort_over: int = 1,
    ):
        self.dataset = dataset
        self.text_encoder = text_encoder
        self.batch_size = min(batch_size, len(dataset))
        self.seed = seed
        self.pad_to = pad_to
        self.sort_over = sort_over
        self._frames = np.array([item.frames for item in dataset.items])
        self._order: tuple[int, np.ndarray] | None = None

    def __call__(self, step: int) -> Batch:
        """The batch of this step, counted from 0."""
        per_epoch = len(self.dataset) // self.batch_size
        epoch, place = divmod(step, per_epoch)
        if self._order is None or self._order[0] != epoch:
            self._order = epoch, self._shuffle(np.random.default_rng([self.seed, 0, epoch]), per_epoch)
        chosen = self._order[1][place * self.batch_size : (place + 1) * self.batch_size]
        rng = np.random.default_rng([self.seed, 1, step])
        return collate(self.dataset, chosen, self.text_encoder, rng, pad_to=self.pad_to)

    def _shuffle(self, rng: np.random.Generator, batches: int) -> np.ndarray:
        """Rows of an epoch in order; where sorted, whole batches are shuffled again inside each group."""
        order = rng.permutation(len(self.dataset))[: batches * self.batch_size]
        if self.sort_over == 1:
            return order
        groups = []
        for start in range(0, len(order), self.batch_size * self.sort_over):
            group = order[start : start + self.batch_size * self.sort_over]
            by_length = group[np.argsort(self._frames[group], kind="stable")].reshape(-1, self.batch_size)
            groups.append(rng.permutation(by_length).ravel())
        return np.concatenate(groups)


def collate(
    dataset: MotionDataset, rows: np.ndarray, text_encoder: TextEncoder, rng: np.random.Generator, *, pad_to: int | None
) -> Batch:
    """One random caption and one random crop of each row."""
    items = [dataset.items[row] for row in rows]
    captions = [item.captions[rng.integers(len(item.captions))] for item in items]
    crops = [_crop(dataset.features(item), rng) for item in items]
    lengths = [len(crop) for crop in crops]
    features = np.zeros((len(items), pad_to or max(lengths), crops[0].shape[1]), np.float32)
    for row, crop in enumerate(crops):
        features[row, : len(crop)] = crop
    text = [caption.text for caption in captions]
    programs = [item.program for item in items]
    return Batch(
        motion=Motion(torch.from_numpy(features), torch.tensor(lengths)),
        text=text,
        sentence=text_encoder(text).sentence,
        ids=[item.id for item in items],
        words=[list(caption.words) for caption in captions],
        program=programs if all(program is not None for program in programs) else None,
    )


def _crop(features: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    frames = min(len(features) // UNIT * UNIT, MAX_FRAMES) or len(features)
    if rng.integers(3) == 0 and frames > UNIT:
        frames -= UNIT
    start = rng.integers(len(features) - frames + 1)
    return features[start : start + frames]
