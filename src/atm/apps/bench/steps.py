"""Costs of a training step, the losses and a denoising step, beside the published form or the baseline."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from atm.alignment import Alignment, AlignmentConfig
from atm.apps.bench.measure import Comparison, measure
from atm.apps.bench.published import PlainMDM, PlainTokeniser, PlainTokeniserTrainer, PlainTrainer
from atm.apps.train import Prepared, prepare
from atm.base.config import changed, override
from atm.interface import Batch
from atm.motion.layers import length_mask
from atm.space import Space, space_humanml3d
from atm.training.config import TrainConfig
from atm.training.presets import preset
from atm.training.step import Trainer, step_generator

ROUNDS = 8
QUICK_ROUNDS = 2
FULL_BATCH = 16
TINY = {"model.width": 32, "model.feed_forward": 32, "model.layers": 1}
"""Sizes of the quick form in place of the published ones."""
TINY_TOKENISER = {"model.width": 32, "model.code_width": 32, "model.codes": 32}
TOKENISED = 64
"""Windows in a batch of the tokeniser: a quarter of the published batch, so that a round takes seconds."""
TINY_SPACE = {"width": 32, "feed_forward": 32, "layers": 1, "decoder_layers": 1}
STILL = ("precision=32-true", "gradient_log_every=0", "validate_every=0", "learning_rate=1e-9")
"""Settings of steps that leave the model as it is: what they cost depends on what it has learnt."""
SELDOM = (1, 2, 4)
"""Values of `every` whose mean cost is measured, over as many steps as the last."""
FAR = 10_000
"""Frames by which a crop is renamed: it then is one that no step has met."""


def rounds_of(quick: bool) -> int:
    """Return how many rounds count."""
    return QUICK_ROUNDS if quick else ROUNDS


def bench_train(data: Path, *, quick: bool, show: bool) -> list[Comparison]:
    """Compare training steps of MDM and of MoMask's tokeniser at the published sizes with the published forms."""
    ready = _full_mdm(data, quick)
    config, batches = ready.config.model, _batches(ready, quick)
    mean, std = ready.model.normaliser.mean, ready.model.normaliser.std
    plain = PlainTrainer(_plain_mdm(ready), mean, std)
    ours = Trainer(ready.config, ready.model)
    what = f"a training step of MDM, {config.layers} layers of {config.width}, {_size(ready, config.max_frames)}"
    sides = {
        "the published form": lambda number: plain.step(batches[number], number),
        "ours": lambda number: _step(ours, batches[number], number),
    }
    return [measure(what, sides, rounds=rounds_of(quick), show=show), _tokenisers(data, quick, show)]


def _tokenisers(data: Path, quick: bool, show: bool) -> Comparison:
    """Compare training steps of MoMask's tokeniser with the published form's."""
    rows = 4 if quick else TOKENISED
    tiny = [f"{key}={value}" for key, value in TINY_TOKENISER.items()] if quick else []
    settings = [f"data={data}", f"batch_size={rows}", *STILL, *tiny]
    ready = prepare(override(preset("momask_rvq_humanml3d"), settings), show_progress=False)
    config, batches = ready.config.model, _batches(ready, quick)
    mean, std = ready.model.normaliser.mean, ready.model.normaliser.std
    plain = PlainTokeniser(
        len(mean), width=config.width, depth=config.depth, halvings=config.halvings, levels=config.levels,
        codes=config.codes, decay=config.decay, dropout=config.dropout, growth=config.dilation_growth,
    )  # fmt: skip
    theirs, ours = PlainTokeniserTrainer(plain, mean, std), Trainer(ready.config, ready.model)
    sides = {
        "the published form": lambda number: theirs.step(batches[number], number),
        "ours": lambda number: _step(ours, batches[number], number),
    }
    what = f"a training step of MoMask's tokeniser, {_size(ready, ready.config.window)}"
    return measure(what, sides, rounds=rounds_of(quick), show=show)


def bench_losses(data: Path, *, quick: bool, show: bool) -> list[Comparison]:
    """Compare training steps with both losses with those of the baseline.

    How many motions are under gamma depends on what a model has learnt; here none has, so gamma is set: so that about
    one in eight is under it, as of a small MDM that was trained, and at the published size none or all, too.
    """
    found = _small_losses(data, quick, show)
    ready = _full_mdm(data, quick)
    batches, config = _batches(ready, quick), ready.config.model
    size = changed(space_humanml3d(), {"text_encoder": "minilm", **(TINY_SPACE if quick else {})})
    space = Space(size, ready.model.text_encoder, ready.model.normaliser).eval().requires_grad_(False)
    losses = changed(AlignmentConfig(), {"epsilon": 1.0})
    alignment = Alignment(losses, space)
    some = _one_in_eight(losses, _meet(ready, alignment, batches))
    sides = {"baseline": _stepper(Trainer(ready.config, ready.model), batches)}
    aligned = Trainer(ready.config, ready.model, alignment)
    gammas = {"none": -1.0, "one in eight": some.intra.gamma, "all": 1.0}
    for name, gamma in gammas.items():
        asked = changed(losses, {"intra.gamma": gamma})
        sides[f"both losses, {name} under gamma"] = _stepper(aligned, batches, losses=asked)
    what = f"the losses on MDM, {config.layers} layers of {config.width}, {_size(ready, config.max_frames)}"
    return [*found, measure(what, sides, rounds=rounds_of(quick), show=show)]


@torch.no_grad()
def bench_sample(data: Path, *, quick: bool, show: bool) -> list[Comparison]:
    """Compare a guided denoising step at the published size with the published form's two passes, and time a motion."""
    ready = _full_mdm(data, quick)
    model, plain, batch = ready.model.eval(), _plain_mdm(ready).eval(), _batches(ready, quick)[0]
    frames, rows = ready.config.model.max_frames, len(batch)
    x_t = torch.randn(rows, frames, len(model.normaliser.mean), generator=torch.Generator().manual_seed(0))
    t, mask = torch.full((rows,), 500), length_mask(batch.motion.lengths, frames)
    condition, flat = model.condition(batch.said_by(model.text_encoder)), x_t.permute(0, 2, 1)[:, :, None]

    def two_passes(_: int) -> torch.Tensor:
        withheld = plain(flat, t, torch.zeros_like(batch.sentence))
        return withheld + 2.5 * (plain(flat, t, batch.sentence) - withheld)

    what = f"a guided denoising step of MDM, {_size(ready, frames)}"
    sides = {"the published form": two_passes, "ours": lambda _: model.guided(x_t, t, condition, mask, scale=2.5)}
    # Its weights do not matter for the time: it takes the same steps with any.
    small = prepare(override(preset("mdm_small"), [f"data={data}", *STILL]), show_progress=False).model.eval()
    seconds = torch.tensor([20 if quick else 120])
    warm = {"mdm_small": lambda number: small.sample(["a person walks"], seconds, seeds=[number])}
    return [
        measure(what, sides, rounds=rounds_of(quick), show=show),
        measure(f"a motion of {int(seconds) // 20} s", warm, rounds=rounds_of(quick), show=show),
    ]


def _small_losses(data: Path, quick: bool, show: bool) -> list[Comparison]:
    ready = {}
    for name in ("mdm_small", "mdm_small_atm"):
        rows = 4 if quick else preset(name).batch_size
        ready[name] = prepare(
            override(preset(name), [f"data={data}", f"batch_size={rows}", *STILL]), show_progress=show
        )
    batches = _batches(ready["mdm_small"], quick)
    baseline, aligned = (Trainer(one.config, one.model, one.alignment) for one in ready.values())
    losses = _one_in_eight(aligned.alignment.config, _meet(ready["mdm_small_atm"], aligned.alignment, batches))
    new = [replace(batch, first=[first + FAR for first in batch.first]) for batch in batches]
    nameless = [replace(batch, first=None) for batch in batches]
    sides = {
        "baseline": _stepper(baseline, batches),
        "both losses": _stepper(aligned, batches, losses=losses),
        "both losses, real motions met for the first time": _stepper(aligned, new, losses=losses),
        "both losses, real motions not remembered": _stepper(aligned, nameless, losses=losses),
    }
    what = f"the losses on mdm_small, batches of {len(batches[0])}"
    seldom = {"baseline": _stepper(baseline, batches, steps=SELDOM[-1])}
    for every in SELDOM:
        asked = changed(losses, {"every": every})
        seldom[f"both losses, every {every}"] = _stepper(aligned, batches, losses=asked, steps=SELDOM[-1])
    return [
        measure(what, sides, rounds=rounds_of(quick), show=show),
        measure(f"{what}, {SELDOM[-1]} steps", seldom, rounds=rounds_of(quick), show=show),
    ]


def _full_mdm(data: Path, quick: bool) -> Prepared:
    settings = [f"data={data}", "model.text_encoder=minilm", f"batch_size={4 if quick else FULL_BATCH}", *STILL]
    tiny = [f"{key}={value}" for key, value in TINY.items()] if quick else []
    config: TrainConfig = override(preset("mdm_humanml3d"), [*settings, *tiny])
    return prepare(config, show_progress=False)


def _plain_mdm(ready: Prepared) -> PlainMDM:
    config, model = ready.config.model, ready.model
    return PlainMDM(
        len(model.normaliser.mean), model.text_encoder.sentence_width, width=config.width, heads=config.heads,
        feed_forward=config.feed_forward, layers=config.layers, frames=config.max_frames,
    )  # fmt: skip


def _batches(ready: Prepared, quick: bool) -> list[Batch]:
    """Return a batch for each round."""
    return [ready.sampler(number) for number in range(rounds_of(quick) + 1)]


def _size(ready: Prepared, frames: int) -> str:
    return f"{ready.config.batch_size} motions of {frames} frames"


@torch.no_grad()
def _meet(ready: Prepared, alignment: Alignment, batches: list[Batch]) -> list[Float[Tensor, "B"]]:
    """Let the losses meet captions, real motions and their clips, as epochs do; return how alike the motions are."""
    config, found = alignment.config, []
    alignment.config = changed(config, {"intra.gamma": 1.0})
    for number, batch in enumerate(batches):
        seen = alignment(ready.model.training_step(batch, step_generator(0, number)).motion, batch).embedded
        found.append(torch.cosine_similarity(seen.generated, seen.real))
    alignment.config = config
    return found


def _one_in_eight(losses: AlignmentConfig, alike: list[Float[Tensor, "B"]]) -> AlignmentConfig:
    """Return the losses with a gamma that one in eight of these likenesses is under."""
    return changed(losses, {"intra.gamma": torch.cat(alike).quantile(1 / 8).item()})


def _stepper(
    trainer: Trainer, batches: list[Batch], *, losses: AlignmentConfig | None = None, steps: int = 1
) -> Callable[[int], None]:
    def take(number: int) -> None:
        if losses is not None:
            trainer.alignment.config = losses
        for step in range(number * steps, (number + 1) * steps):
            _step(trainer, batches[step % len(batches)], step)

    return take


def _step(trainer: Trainer, batch: Batch, number: int) -> None:
    trainer.backward(trainer.forward(batch, number).loss, number)
