"""From a config to a running loop: data, text embeddings, model, space."""

import math
import sys
import warnings
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from atm.alignment import Alignment
from atm.base.config import load, save, validate
from atm.base.errors import InputError
from atm.base.lease import held
from atm.base.storage import atomic, find_model, load_state, read_model
from atm.data.batches import BatchSampler
from atm.data.humanml3d import MotionDataset, open_dataset
from atm.interface import TextEncoder
from atm.models import find_spec
from atm.motion.layers import Normaliser
from atm.space import Space, find_space
from atm.text import CachedTextEncoder, load_text_encoder
from atm.training.checkpoint import read_checkpoint
from atm.training.config import TrainConfig
from atm.training.distributed import lost_in_words, make_fabric, resolved_precision
from atm.training.loop import TrainResult, train
from atm.training.record import RunFolder
from atm.training.step import step_generator

if TYPE_CHECKING:
    from lightning.fabric import Fabric

ENOUGH_MINUTES = 0.02
"""A run whose time is over but for this is done."""


def start(
    config: TrainConfig,
    out: Path,
    *,
    minutes: float | None = None,
    from_model: Path | None = None,
    devices: int = 1,
    machines: int = 1,
    show_progress: bool = True,
) -> TrainResult:
    """Return a new run.

    Args:
        config: with `data` set.
        out: run folder; must not hold a run.
        minutes: time budget.
        from_model: run folder or model file whose weights the run starts with; they must fit the config's model, as
            those of `with_model_of` do.
        devices, machines: see `make_fabric`. Each process returns; the result says its rank.
    """
    run, fabric = RunFolder(out), make_fabric(config.precision, devices=devices, machines=machines)
    with _alone(run, fabric):
        if fabric.is_global_zero:
            if run.holds_something():
                raise InputError(
                    f"{out} holds a run already: go on with `atm train --resume {out}`, or give another --out"
                )
            run.forget()
        fabric.launch()
        precision = resolved_precision(config.precision)
        if show_progress and config.precision == "auto" and precision == "32-true" and fabric.is_global_zero:
            print("precision: float32, since this machine has no units for bfloat16", file=sys.stderr)
        config = config.model_copy(update={"precision": precision})
        return _run(
            config, run, fabric, minutes=minutes, from_model=from_model, resume=False, show_progress=show_progress
        )


def _alone(run: RunFolder, fabric: "Fabric") -> AbstractContextManager[None]:
    """Hold the run folder: the first process does so for all that train together."""
    return held(run.path, "the run") if fabric.is_global_zero else nullcontext()


def with_model_of(config: TrainConfig, path: Path) -> TrainConfig:
    """Return the config with the model that a run folder or model file holds in place of its own, so that its weights
    fit.

    Raises:
        InputError: no such file, or a model of another kind.
    """
    stored = read_model(find_model(path))
    name = stored.config.get("name", stored.kind)
    if name != config.model.name:
        raise InputError(f"{path} holds a model of kind {name!r}, but the preset trains {config.model.name!r}")
    model = validate(type(config.model), stored.config, source=str(path))
    return config.model_copy(update={"model": model})


def resume(
    out: Path,
    *,
    data: Path | None = None,
    minutes: float | None = None,
    devices: int = 1,
    machines: int = 1,
    show_progress: bool = True,
) -> TrainResult:
    """Go on with the run in this folder, by the config that it holds; arguments as for `start`. One that ended before
    its first checkpoint begins anew, from the same weights.

    Args:
        data: where its data folder is now, which the config says from then on; None: where it was.
        out, minutes, devices, machines, show_progress: as for `start`.

    Raises:
        InputError: no run, or its data folder is gone.
    """
    run = RunFolder(out)
    if not run.config.is_file():
        raise InputError(
            f"{out} is not a run folder: there is no {run.config.name} in it; `atm train PRESET --out {out}` starts one"
        )
    config = load(TrainConfig, run.config)
    if data is not None:
        if not data.is_dir():
            raise InputError(f"data={data} is no folder")
        config = config.model_copy(update={"data": str(data)})
    elif config.data is not None:
        found = run.found(config.data)
        if not found.is_dir():
            raise InputError(
                f"the data of {out}, {config.data}, is not there: where is it now? `atm train --resume {out} data=DIR`"
            )
        config = config.model_copy(update={"data": str(found)})
    fabric = make_fabric(config.precision, devices=devices, machines=machines)
    with _alone(run, fabric):
        if data is not None and fabric.is_global_zero:
            _check_statistics(run, data)
            with atomic(run.config) as part:
                save(config.model_copy(update={"data": str(data.resolve())}), part)
        resumes, from_model = run.checkpoint.is_file(), None
        if not resumes:
            from_model = _began_from(run)
        fabric.launch()
        return _run(
            config, run, fabric, minutes=minutes, from_model=from_model, resume=resumes, show_progress=show_progress
        )


def _check_statistics(run: RunFolder, data: Path) -> None:
    """Refuse a data folder that is not the one of the run's model, as far as its statistics tell.

    Raises:
        InputError: they are others, or no data folder.
    """
    mean = torch.from_numpy(open_dataset(data, "train").mean)
    if not run.checkpoint.is_file() or not run.record.is_file() or run.read_record().get("from_model") is not None:
        return
    known = read_checkpoint(run.checkpoint)["model"].get("normaliser.mean")
    if known is not None and (known.shape != mean.shape or not torch.allclose(known.cpu(), mean, atol=1e-6)):
        raise InputError(f"{data} is not the data of {run.path}: its Mean.npy is another; start a new run on it")


def _began_from(run: RunFolder) -> Path | None:
    """Return the model that a run without a checkpoint began from.

    Raises:
        InputError: it is not known.
    """
    if not run.record.is_file():
        raise InputError(
            f"{run.path} has neither a checkpoint nor a record of what it began from: start it again with "
            f"`atm train PRESET key=value ... --out {run.path}`"
        )
    began = run.read_record().get("from_model")
    return None if began is None else Path(began)


def start_or_resume(
    config: TrainConfig,
    out: Path,
    *,
    minutes: float | None = None,
    from_model: Path | None = None,
    show_progress: bool = True,
) -> RunFolder:
    """Return a run that is there at the end: begun, gone on with, or finished already; arguments as for `start`.

    Args:
        minutes: of all calls together; None: all its steps.

    Raises:
        KeyboardInterrupt: the run was interrupted; it has written its checkpoint.
    """
    run = RunFolder(out)
    if not (run.checkpoint.is_file() or run.model.is_file()):
        result = start(config, out, minutes=minutes, from_model=from_model, show_progress=show_progress)
    else:
        # The record is behind the checkpoint where a run was killed between the two, and then has less to say.
        record = run.read_record()
        left = None if minutes is None else minutes - record.get("minutes", 0.0)
        finished = run.model.is_file() and record.get("step", 0) >= record.get("steps", math.inf)
        if finished or (run.model.is_file() and left is not None and left < ENOUGH_MINUTES):
            return run
        result = resume(out, minutes=left, show_progress=show_progress)
    if result.interrupted:
        raise KeyboardInterrupt
    return run


class Prepared(NamedTuple):
    """All that the loop needs of a config."""

    config: TrainConfig
    """With what the data decided."""
    model: nn.Module
    sampler: BatchSampler
    alignment: Alignment | None
    validation: BatchSampler | None


def prepare(
    config: TrainConfig, *, new: bool = True, fabric: "Fabric | None" = None, show_progress: bool = True
) -> Prepared:
    """Open data, text embeddings, model and space of a config.

    Args:
        config: with `data` set.
        new: as for `build_model`.
        fabric: the engine, where several processes train; with `alignment.gather` they mine together.
        show_progress: show bars.
    """
    if not config.data:
        raise InputError("no data: give data=DIR, a folder in the HumanML3D layout")
    dataset = open_dataset(config.data, "train")
    if dataset.skipped:
        named = "; ".join(f"{clip} {why}" for clip, why in list(dataset.skipped.items())[:5])
        warnings.warn(f"{len(dataset.skipped)} clips are left out: {named}", stacklevel=2)
    encoder = cached_encoder(text_encoder_name(config), dataset, show_progress=show_progress)
    config, model = build_model(config, dataset, encoder, new=new)
    alignment = None
    if config.alignment is not None and config.alignment.weighs_anything():
        together = fabric is not None and fabric.world_size > 1
        alignment = Alignment(
            config.alignment,
            _space(config.alignment.space, dataset, encoder),
            all_gather=partial(fabric.all_gather, sync_grads=True) if together else None,
        )
    sizes = {
        "batch_size": config.batch_size,
        "language": [encoder] if hasattr(config.model, "text_encoder") else [],
        "seed": config.seed,
        "pad_to": config.pad_to,
        "window": config.window,
        "sort_over": config.sort_over,
        "alike_over": config.alike_over,
        "read_meaning": _reads_meaning(config),
        "show_progress": show_progress,
    }
    sentences = encoder
    if sentence_encoder_name(config) != encoder.name:
        sentences = cached_encoder(sentence_encoder_name(config), dataset, show_progress=show_progress)
    validation = None
    if config.validate_every:
        val = open_dataset(config.data, "val")
        for one in {encoder, sentences}:
            one.prepare(val.captions(), progress=show_progress)
        validation = BatchSampler(val, sentences, **sizes)
    return Prepared(config, model, BatchSampler(dataset, sentences, **sizes), alignment, validation)


def _run(
    config: TrainConfig, run: RunFolder, fabric: "Fabric", *, minutes, from_model, resume, show_progress
) -> TrainResult:
    # The first process of each machine goes before the others, which then find its caches.
    with fabric.rank_zero_first(local=True):
        bars = show_progress and fabric.is_global_zero
        if bars and fabric.device.type == "cpu":
            print(f"threads: {torch.get_num_threads()}, as OMP_NUM_THREADS or the cores say", file=sys.stderr)
        ready = prepare(config, new=not resume and from_model is None, fabric=fabric, show_progress=bars)
    if from_model is not None:
        load_state(ready.model, read_model(find_model(from_model)).state, source=str(from_model))
    with lost_in_words(fabric):
        result = train(
        ready.config, ready.model, ready.sampler, run,
        alignment=ready.alignment, validation=ready.validation, minutes=minutes, resume=resume,
        from_model=None if from_model is None else str(from_model), fabric=fabric, show_progress=show_progress,
    )  # fmt: skip
        fabric.barrier()
    return result


def build_model(
    config: TrainConfig, dataset: MotionDataset, encoder: TextEncoder, *, new: bool
) -> tuple[TrainConfig, nn.Module]:
    """Return a model with weights drawn from the config's seed, and the config with what the data decided.

    Args:
        config: of the run.
        dataset: its training split.
        encoder: the language model that `text_encoder_name` names.
        new: whether the run starts with this model, so that it takes over what an earlier stage learned; False:
            its weights come from elsewhere.
    """
    step_generator(config.seed, -1 % 2**31)
    normaliser = Normaliser(torch.from_numpy(dataset.mean), torch.from_numpy(dataset.std))
    row = find_spec(config.model.name)
    config = config.model_copy(update={"model": row.fit(config.model, dataset)})
    model = (row.new if new else row.build)(config.model, encoder, normaliser)
    if new and row.observe is not None:
        row.observe(model, dataset)
    return config, model


def text_encoder_name(config: TrainConfig) -> str:
    """Return the language model of a run. A model that names none reads words or no text; it gets one that is always
    there."""
    return getattr(config.model, "text_encoder", "minilm")


def sentence_encoder_name(config: TrainConfig) -> str:
    """Return the language model of `Batch.sentence`, by which near-duplicate captions are told; a baseline asks
    none."""
    if config.alignment is not None:
        return config.alignment.sentence_encoder
    return getattr(config.model, "sentence_encoder", text_encoder_name(config))


def _reads_meaning(config: TrainConfig) -> bool:
    """Return whether the model's own objective or the losses read `Batch.meaning`."""
    asked = [part.reads_meaning() for part in (config.model, config.alignment) if hasattr(part, "reads_meaning")]
    return any(asked)


def cached_encoder(name: str, dataset: MotionDataset, *, show_progress: bool) -> CachedTextEncoder:
    """Return a text encoder that has every caption of the data set in memory."""
    encoder = CachedTextEncoder(load_text_encoder(name))
    encoder.prepare(dataset.captions(), progress=show_progress)
    return encoder


def _space(path: str | None, dataset: MotionDataset, encoder: CachedTextEncoder) -> Space:
    def encoder_of(name: str) -> CachedTextEncoder:
        return encoder if name == encoder.name else cached_encoder(name, dataset, show_progress=True)

    return find_space(path, width=dataset.skeleton.feature_width, encoder_of=encoder_of)
