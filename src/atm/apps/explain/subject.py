"""Subject of an explanation: a model, the losses of its run, data to mine in, and the contents of its log."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from atm.alignment import Alignment, AlignmentConfig
from atm.apps.explain.mined import NOISE, Explanation, explain_batch, explain_motions
from atm.apps.generate import row_seed, sample_rows
from atm.apps.resources import device, open_space
from atm.base.config import changed, load, validate
from atm.base.errors import InputError
from atm.base.packaged import NAMES, packaged
from atm.base.storage import find_model, load_state, read_model
from atm.data.batches import MAX_FRAMES, UNIT, collate
from atm.data.humanml3d import Item, MotionDataset, open_dataset
from atm.interface import Batch, TextEncoder
from atm.meaning import MeaningReader, differs, parse_meaning
from atm.models import find_spec, load_generator
from atm.motion import Motion, padded
from atm.motion.layers import Normaliser
from atm.space import SpaceConfig
from atm.text import OFFLINE, CachedTextEncoder, load_text_encoder
from atm.training.config import TrainConfig
from atm.training.record import RunFolder

AT_ONCE = 512
"""Captions that are compared at once."""
BATCH = 64
"""Motions of a batch, for a model whose run does not say: the paper's."""
ALIKE_SHARE = 0.5
"""Share of the batch of a sentence that is simply most alike; the rest must differ enough to be negatives."""


@dataclass(frozen=True)
class Subject:
    """A model with all that it takes to explain it."""

    name: str
    data: str
    """Its folder."""
    generator: nn.Module
    """Has `training_step`; a generator also `sample`."""
    dataset: MotionDataset
    alignment: Alignment
    """Both losses on, whatever their weights in the run: nothing is trained here."""
    sentences: CachedTextEncoder
    """The language model of `epsilon`."""
    losses: str
    """Description of the losses and of their source, in a sentence or two."""
    run: TrainConfig | None
    """None: a model file, which knows nothing of its training."""
    metrics: list[dict[str, Any]]
    device: torch.device

    def batch(self, index: int | None, seed: int) -> tuple[Batch, int | None]:
        """Return a batch drawn by the seed, with this motion of the data set in it, and the row of that motion.

        Raises:
            InputError: no such motion, or one that is shorter than the windows that the run is trained on.
        """
        size, pad_to, window = BATCH, None, None
        if self.run is not None:
            size, pad_to, window = self.run.batch_size, self.run.pad_to, self.run.window
        items = self.dataset.items
        long_enough = [place for place, item in enumerate(items) if item.frames >= (window or 1)]
        if index is not None and not 0 <= index < len(items):
            raise InputError(f"the split holds motions 0 to {len(items) - 1}, got index {index}")
        if index is not None and index not in long_enough:
            raise InputError(f"motion {index} has {items[index].frames} frames, the run's windows {window}: no part")
        rows = np.random.default_rng([seed, 0]).permutation(long_enough)[:size]
        if index is not None and index not in rows:
            rows[0] = index
        rng = np.random.default_rng([seed, 1])
        batch = collate(self.dataset, rows, self.sentences, rng, pad_to=pad_to, window=window)
        return self._here(batch), None if index is None else int(np.flatnonzero(rows == index)[0])

    def explain(
        self,
        batch: Batch,
        row: int | None,
        seed: int,
        *,
        noise: float = NOISE,
        sampled: bool = False,
        show_progress: bool = True,
    ) -> Explanation:
        """Return what is mined for this row: among a training step's estimates of motions noised to `noise` at most, or
        with `sampled` among motions sampled in full."""
        if not sampled:
            return explain_batch(self.generator, self.alignment, batch, seed=seed, row=row, noise=noise)
        return explain_motions(self._sampled(batch, seed, show_progress), self.alignment, batch, row=row)

    def explain_sentence(self, text: str, seed: int, *, show_progress: bool) -> Explanation:
        """Return what is mined for a motion sampled for a sentence that is no caption, in a batch made for it."""
        picked = self._most_alike(text, show_progress)
        items = [item for item, _ in picked]
        motion = padded([self.dataset.features(item)[: _whole_units(item.frames)] for item in items])
        texts = [text, *(caption for _, caption in picked[1:])]
        batch = self._here(Batch(motion, texts, self.sentences(texts).sentence, [item.id for item in items]))
        return explain_motions(
            self._sampled(batch, seed, show_progress), self.alignment, batch, row=0, stand_in=picked[0][1]
        )

    def _most_alike(self, text: str, show_progress: bool) -> list[tuple[Item, str]]:
        """Return motions of the data set, each with its most alike caption: the first stands in, the others fill the
        batch.

        Of the most alike ones that stands in which contradicts the sentence least: a language model barely hears a
        number or a side.
        """
        captions = self.dataset.captions()
        self.sentences.prepare(captions, progress=show_progress)
        own = self._likeness([text])[0]
        parts = [self._likeness(captions[start : start + AT_ONCE]) @ own for start in range(0, len(captions), AT_ONCE)]
        cosine = dict(zip(captions, torch.cat(parts).tolist(), strict=True))
        best = []
        for item in self.dataset.items:
            nearest = max((caption.text for caption in item.captions), key=cosine.__getitem__)
            best.append((cosine[nearest], item, nearest))
        best.sort(key=lambda found: -found[0])
        size = BATCH if self.run is None else self.run.batch_size
        half = max(1, round(size * ALIKE_SHARE))
        epsilon = self.alignment.config.epsilon
        others = [found for found in best[half:] if found[0] <= epsilon and found[2] != text]
        picked = [(item, caption) for _, item, caption in [*best[:half], *others][:size]]
        meaning = parse_meaning(text)
        stand_in = min(picked[:half], key=lambda one: len(differs(meaning, parse_meaning(one[1]))))
        return [stand_in, *(one for one in picked if one is not stand_in)]

    def _likeness(self, text: list[str]) -> Float[Tensor, "B S"]:
        """Return unit vectors whose products are compared with epsilon."""
        if self.alignment.config.similarity != "space":
            return F.normalize(self.sentences(text).sentence.cpu(), dim=-1)
        with torch.no_grad():
            return F.normalize(self.alignment.space.encode_text(text).cpu(), dim=-1)

    def _sampled(self, batch: Batch, seed: int, show_progress: bool) -> Motion:
        if not hasattr(self.generator, "sample"):
            raise InputError(f"{self.name} is a stage, which samples no motion: explain a training step of it")
        lengths = batch.motion.lengths.cpu()
        seeds = [row_seed(seed, row) for row in range(len(batch))]
        made = sample_rows(self.generator, batch.text, lengths, seeds=seeds, show_progress=show_progress)
        return made.to(self.device)

    def _here(self, batch: Batch) -> Batch:
        meaning = None
        if self.alignment.config.reads_meaning():
            meaning = MeaningReader()(batch.text, np.random.default_rng(0))
        return replace(batch.to(self.device), meaning=meaning)


def open_subject(model: Path | None, *, data: Path | None, space: Path | None, split: str) -> Subject:
    """Return a model from its run folder or file, with the losses, data and log of the run.

    Args:
        model: None: the packaged generator.
        data: None: the run's.
        space: None: the run's, else the packaged one.
        split: of the data folder.

    Raises:
        InputError: no data named, a file that is none, or a space of other features than the data's.
    """
    file = packaged("generator") if model is None else find_model(model)
    folder = RunFolder(file.parent)
    run = load(TrainConfig, folder.config) if folder.config.is_file() else None
    if data is None and run is not None and run.data is not None:
        data = folder.data(run.data)
    if data is None:
        raise InputError(f"{file} does not say what it was trained on: give --data DIR")
    dataset = open_dataset(data, split)
    encoder_of = _encoders()
    generator = _load(file, encoder_of).to(device())
    own = None if run is None else run.alignment
    width = dataset.skeleton.feature_width
    if space is None and own is not None and own.space is not None and own.space not in NAMES:
        space = folder.found(own.space)
    measured_in = open_space(space or (own and own.space), width=width, encoder_of=encoder_of)
    config, losses = _losses(own, measured_in.config)
    return Subject(
        name=(model or file).name,
        data=str(data),
        generator=generator.eval(),
        dataset=dataset,
        alignment=Alignment(config, measured_in),
        sentences=encoder_of(config.sentence_encoder),
        losses=losses,
        run=run,
        metrics=folder.read_metrics() if run is not None else [],
        device=device(),
    )


def _losses(own: AlignmentConfig | None, space: SpaceConfig) -> tuple[AlignmentConfig, str]:
    """Return the losses to explain by, and what to say of them."""
    if own is None:
        known = {"epsilon": space.epsilon, "sentence_encoder": space.sentence_encoder}
        paper = changed(AlignmentConfig(), {"inter.weight": 1.0, "intra.weight": 1.0, **known})
        said = "The model was trained without the losses, or does not say; the example is mined by the paper's choices,"
        return paper, f"{said} with the space's ε = {paper.epsilon:g} ({paper.sentence_encoder})."
    said = (
        f"Inter-motion loss weighed {own.inter.weight:g}, intra-motion loss {own.intra.weight:g}; "
        f"ε = {own.epsilon:g} ({own.sentence_encoder}), γ = {own.intra.gamma:g}."
    )
    changes: dict[str, Any] = {"inter.weight": own.inter.weight or 1.0, "intra.weight": own.intra.weight or 1.0}
    if own.inter.loss != "hard_negative":
        said += f" The run's {own.inter.loss} loss mines no hard negative; shown is what eq. 2 would mine."
        changes["inter.loss"] = "hard_negative"
    return changed(own, changes), said


def _load(file: Path, encoder_of: Callable[[str], TextEncoder]) -> nn.Module:
    """Return a generator, or the stage of one: the losses of token models act on their tokeniser."""
    stored = read_model(file)
    encoder = encoder_of(stored.config.get("text_encoder", OFFLINE))
    if stored.kind != "stage":
        return load_generator(file, encoder)
    row = find_spec(stored.config["name"])
    width = len(stored.state["normaliser.mean"]) if "normaliser.mean" in stored.state else 0
    stage = row.build(validate(row.config, stored.config, source=str(file)), encoder, Normaliser.identity(width))
    load_state(stage, stored.state, source=str(file))
    return stage


def _encoders() -> Callable[[str], CachedTextEncoder]:
    """Return language models by name, each loaded once."""
    loaded: dict[str, CachedTextEncoder] = {}

    def encoder_of(name: str) -> CachedTextEncoder:
        if name not in loaded:
            loaded[name] = CachedTextEncoder(load_text_encoder(name))
        return loaded[name]

    return encoder_of


def _whole_units(frames: int) -> int:
    """Return frames of a motion that stands in: as training crops them."""
    return min(frames // UNIT * UNIT, MAX_FRAMES) or frames
