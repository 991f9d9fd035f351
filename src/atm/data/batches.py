"""Training batches: random motions, captions and crops, drawn from (seed, step) alone.

Nothing is remembered between steps: a run that resumes at step s sees the very batches that it would have seen.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from atm.base.errors import InputError
from atm.base.progress import progress
from atm.data.humanml3d import Item, MotionDataset
from atm.interface import Batch, TextEncoder
from atm.meaning import MeaningReader, parse_meaning
from atm.motion import Motion
from atm.motion.program import timeline_from_json

UNIT = 4
"""Lengths are multiples of this many frames, and a third of the draws is one unit shorter (as published)."""
MAX_FRAMES = 196
"""Longest crop, in frames (as published)."""


class BatchSampler:
    """Batch number `step` of a run.

    Args:
        dataset: what is drawn from; every motion once per epoch, in another order each time.
        text_encoder: gives the sentence embeddings of the drawn captions.
        language: further language models that the batches carry what they say of the captions; `text_encoder` is
            carried in any case. Each is asked once a batch, here, in the thread that draws.
        batch_size: rows of a batch. A data set smaller than that gives smaller batches.
        seed: of order, captions and crops.
        pad_to: frames of a batch; None: its longest motion. Models that attend to padding need a fixed number.
            Less than the longest crop has is an `InputError`.
        window: frames of a random window of each motion, which then is all that a row holds; shorter motions are left
            out (as published for MoMask's tokeniser). Its caption is one of the whole motion. None: whole motions.
        sort_over: number of batches among whose motions those of like length are put together: less padding, so
            faster; but the motions of a batch are then alike in length. 1: not sorted (as published).
        alike_over: number of batches among whose motions those that do the same actions are put together (ours), by
            what their first captions name: batches of hard negatives, which differ in numbers, sides, directions.
            1: as they come. Not together with `sort_over`.
        read_meaning: give batches with what their captions say in detail. Nothing else of them changes.
        show_progress: a bar while captions are read for `alike_over`.
    """

    def __init__(
        self,
        dataset: MotionDataset,
        text_encoder: TextEncoder,
        *,
        batch_size: int,
        seed: int,
        language: Sequence[TextEncoder] = (),
        pad_to: int | None = None,
        window: int | None = None,
        sort_over: int = 1,
        alike_over: int = 1,
        read_meaning: bool = False,
        show_progress: bool = False,
    ):
        self.dataset = dataset
        self.text_encoder = text_encoder
        self.language = tuple(encoder for encoder in language if encoder.name != text_encoder.name)
        frames = np.array([item.frames for item in dataset.items])
        self._rows = np.flatnonzero(frames >= (window or 1))
        if not len(self._rows):
            raise InputError(f"no motion has the {window} frames of a window: the longest has {frames.max()}")
        self._frames = frames[self._rows]
        self.batch_size = min(batch_size, len(self._rows))
        self.seed = seed
        self.pad_to = pad_to
        self.window = window
        self._together = max(sort_over, alike_over)
        self._kind = self._frames
        if alike_over > 1:
            self._kind = _numbered_actions([dataset.items[row] for row in self._rows], show_progress)
        self._reader = MeaningReader() if read_meaning else None
        longest = window or _longest_crop(int(frames.max()))
        if pad_to is not None and pad_to < longest:
            raise InputError(
                f"pad_to={pad_to} has no room for the crops of this data set, which have up to {longest} frames: give "
                f"pad_to={longest} or more, or pad_to=none for batches as long as their longest motion"
            )
        self._order: tuple[int, np.ndarray] | None = None

    def __call__(self, step: int) -> Batch:
        """Return the batch of this step, counted from 0."""
        per_epoch = len(self._rows) // self.batch_size
        epoch, place = divmod(step, per_epoch)
        if self._order is None or self._order[0] != epoch:
            self._order = epoch, self._shuffle(np.random.default_rng([self.seed, 0, epoch]), per_epoch)
        chosen = self._order[1][place * self.batch_size : (place + 1) * self.batch_size]
        rng = np.random.default_rng([self.seed, 1, step])
        batch = collate(
            self.dataset,
            self._rows[chosen],
            self.text_encoder,
            rng,
            language=self.language,
            pad_to=self.pad_to,
            window=self.window,
        )
        if self._reader is None:
            return batch
        return replace(batch, meaning=self._reader(batch.text, np.random.default_rng([self.seed, 2, step])))

    def _shuffle(self, rng: np.random.Generator, batches: int) -> np.ndarray:
        """Return an epoch in order, as places in `_rows`; where sorted, whole batches are shuffled again in each
        group."""
        order = rng.permutation(len(self._rows))[: batches * self.batch_size]
        if self._together == 1:
            return order
        groups = []
        for start in range(0, len(order), self.batch_size * self._together):
            group = order[start : start + self.batch_size * self._together]
            by_kind = group[np.argsort(self._kind[group], kind="stable")].reshape(-1, self.batch_size)
            groups.append(rng.permutation(by_kind).ravel())
        return np.concatenate(groups)


def _numbered_actions(items: list[Item], show_progress: bool) -> np.ndarray:
    """Return motions that do the same actions in the same order have the same number, those that begin alike a near
    one."""
    read = progress(items, "reading captions", show=show_progress)
    actions = [tuple(event.action for event in parse_meaning(item.captions[0].text).events) for item in read]
    number = {done: place for place, done in enumerate(sorted(set(actions)))}
    return np.array([number[done] for done in actions])


def collate(
    dataset: MotionDataset,
    rows: np.ndarray,
    text_encoder: TextEncoder,
    rng: np.random.Generator,
    *,
    language: Sequence[TextEncoder] = (),
    pad_to: int | None,
    window: int | None = None,
) -> Batch:
    """Return one random caption and one random crop of each row; arguments as for `BatchSampler`."""
    items = [dataset.items[row] for row in rows]
    captions = [item.captions[rng.integers(len(item.captions))] for item in items]
    places = [crop_of(item.frames, rng, window) for item in items]
    crops = [
        dataset.features(item)[first : first + frames] for item, (first, frames) in zip(items, places, strict=True)
    ]
    lengths = [len(crop) for crop in crops]
    features = np.zeros((len(items), pad_to or max(lengths), crops[0].shape[1]), np.float32)
    for row, crop in enumerate(crops):
        features[row, : len(crop)] = crop
    text = [caption.text for caption in captions]
    said = {encoder.name: encoder(text) for encoder in (text_encoder, *language)}
    return Batch(
        motion=Motion(torch.from_numpy(features), torch.tensor(lengths)),
        text=text,
        sentence=said[text_encoder.name].sentence,
        ids=[item.id for item in items],
        words=[list(caption.words) for caption in captions],
        language=said,
        first=[first for first, _ in places],
        timelines=[
            None if item.program is None else timeline_from_json(item.program, first / dataset.skeleton.fps)
            for item, (first, _) in zip(items, places, strict=True)
        ],
    )


def crop_of(frames: int, rng: np.random.Generator, window: int | None = None) -> tuple[int, int]:
    """Return where a random crop of a motion of this many frames starts, and how many frames it has."""
    length = window
    if length is None:
        length = _longest_crop(frames)
        if rng.integers(3) == 0 and length > UNIT:
            length -= UNIT
    return int(rng.integers(frames - length + 1)), length


def _longest_crop(frames: int) -> int:
    """Return the longest crop of a motion of this many frames."""
    return min(frames // UNIT * UNIT, MAX_FRAMES) or frames
