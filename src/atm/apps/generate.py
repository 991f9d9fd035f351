"""From sentences to motion files."""

import re
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from atm.apps.best_of import CHOOSER, BestOf, best_of
from atm.apps.export import check_suffix, ending_of, ending_of_format, save_motion
from atm.apps.options import SampleOptions
from atm.apps.reading import AsRead, as_read
from atm.apps.resources import Opened, open_generator
from atm.apps.untaught import untaught
from atm.base.errors import InputError
from atm.base.outputs import check_output
from atm.base.storage import find_model
from atm.export.names import FileStyle
from atm.export.npz import MotionFile, check_joints
from atm.generators.parts.inputs import check_steps
from atm.interface import Batch, Generator
from atm.models import load_generator
from atm.models.check import CheckResult, check_generator
from atm.motion import HUMANML3D, Motion, Skeleton, skeleton_of_width
from atm.motion.features import with_joints
from atm.text import check_sentence
from atm.text.encoders import check_unicode

MIN_SECONDS = 0.5
DEFAULT_SECONDS = 6.0
BATCH = 32


def generate_files(
    text: list[str],
    *,
    model: Path | None,
    options: SampleOptions,
    out: Path,
    suffix: str | None = None,
    style: FileStyle | None = None,
    raw: bool = False,
    show_progress: bool = True,
) -> list[Path]:
    """Write one file per sentence and sample.

    Args:
        text: sentences.
        model: run folder or model file; None: the packaged generator.
        options: of sampling.
        out: a file with a known suffix, or a folder.
        suffix: format of the files in a folder; None: npz.
        style: names, unit, rate and upward axis, see `save_motion`.
        raw: write what the network gave; False: on constant bones, with planted feet held (`atm.motion.bodies`).
        show_progress: a bar per batch.

    Returns:
        The paths, sentence by sentence.

    Raises:
        InputError: an empty sentence, an impossible length or number, an unknown suffix, a file that is no model.
    """
    check_text(text)
    paths = _paths(text, options.samples, out, suffix)
    check_suffix(paths[0], style)
    for path in paths:
        check_output(path)
    opened = open_generator(model)
    lengths = lengths_of(opened.generator, options.seconds, len(text))
    for path, motion in zip(
        paths, make_motions(opened, text, lengths, options, raw=raw, show_progress=show_progress), strict=True
    ):
        save_motion(
            path, motion.joints, skeleton=motion.skeleton, features=motion.features, text=motion.text,
            provenance=motion.provenance, style=style, say=lambda line: print(line, file=sys.stderr),
        )  # fmt: skip
        if show_progress and (verdict := motion.provenance.get("verdict")):
            print(f"{motion.text}: {verdict}", file=sys.stderr)
    return paths


def make_motions(
    opened: Opened,
    text: list[str],
    lengths: Int[Tensor, "N"] | None,
    options: SampleOptions,
    *,
    raw: bool = False,
    show_progress: bool = True,
) -> list[MotionFile]:
    """Return the motions of sentences, sample by sample of each, in batches; warn of what the model was not taught.

    Args:
        opened: the generator.
        text: sentences.
        lengths: frames of each; None: the model finds them.
        options: of sampling; their `seconds` are not read.
        raw: as the network gave them; False: on constant bones, with planted feet held (`atm.motion.bodies`).
        show_progress: a bar per batch.

    Raises:
        InputError: an empty sentence, or lengths or steps that the model cannot make.
    """
    check_text(text)
    check_steps(options.steps, opened.generator.capabilities.steps)
    for sentence in dict.fromkeys(text):
        if said := untaught(sentence, opened.file, opened.generator.text_encoder):
            warnings.warn(said, stacklevel=2)
    samples, count, space = options.samples, options.candidates, options.space
    chosen = {} if count == 1 else {"best_of": count, "best_by": options.best_by, "space": str(space or CHOOSER)}
    chosen |= in_steps(options.steps)
    motions = sample_rows(
        best_of(
            as_read(opened.generator), count, space=space, model=opened.file, by_verdict=options.best_by == "verdict"
        ),
        [sentence for sentence in text for _ in range(samples)],
        None if lengths is None else lengths.repeat_interleave(samples),
        seeds=[row_seed(options.seed, k) for _ in text for k in range(samples)],
        guidance_scale=options.guidance_scale,
        steps=options.steps,
        show_progress=show_progress,
    )
    return [
        finished(
            motions[row : row + 1], text[row // samples],
            {"model": opened.file.name, "seed": options.seed, "sample": row % samples, "raw": raw} | chosen, raw=raw,
        )
        for row in range(len(motions))
    ]  # fmt: skip


def finished(motion: Motion, sentence: str, provenance: dict[str, Any], *, raw: bool) -> MotionFile:
    """Return a batch of one as it is kept: on constant bones unless it shall be raw, with the oracles' verdict.

    Raises:
        InputError: the network gave numbers that are not finite.
    """
    joints, features = (as_generated if raw else held)(motion)
    verdict = verdict_on(joints, motion.skeleton, sentence)
    source = provenance | ({"verdict": verdict} if verdict else {})
    return MotionFile(joints, motion.skeleton, features, sentence, source)


def verdict_on(joints: Float[np.ndarray, "T J 3"], skeleton: Skeleton, sentence: str) -> str:
    """Return the oracles' verdict on a motion in words; empty where they do not know its skeleton, or nothing of what
    the sentence asks."""
    if skeleton is not HUMANML3D:
        return ""
    # The oracles bring signal processing with them, which takes longer to load than a motion to make.
    from atm.scripted.asked import asked_of
    from atm.scripted.examine import examine

    examined = examine(joints, asked_of(sentence))
    return "" if examined is None else str(examined)


def as_generated(motion: Motion) -> tuple[Float[np.ndarray, "T J 3"], Float[np.ndarray, "T D"]]:
    """Return joints in metres and features of a batch of one, without its padding.

    Raises:
        InputError: the network gave numbers that are not finite.
    """
    frames = int(motion.lengths[0])
    joints = motion.joints[0, :frames].numpy()
    check_joints(joints, motion.skeleton, "the generated motion")
    return joints, motion.features[0, :frames].numpy()


def held(motion: Motion) -> tuple[Float[np.ndarray, "T J 3"], Float[np.ndarray, "T D"] | None]:
    """Return the same on constant bones, with planted feet held; features are those of the held joints, None where the
    published features are undefined."""
    from atm.motion.bodies import hold_body  # needs scipy, which other commands do not wait for

    skeleton = motion.skeleton
    joints, features = as_generated(motion)
    joints = hold_body(joints, skeleton)
    try:
        moved = torch.from_numpy(joints / skeleton.metres_per_unit).float()
        return joints, with_joints(torch.from_numpy(features), moved, skeleton).numpy()
    except InputError:
        return joints, None


def sample_all(
    generator: Generator,
    text: list[str],
    *,
    seconds: float,
    seeds: list[int],
    guidance_scale: float | None = None,
    show_progress: bool = True,
) -> Motion:
    """Return one motion per sentence, in batches.

    Raises:
        InputError: the length is not one that the model can make.
    """
    lengths = torch.full((len(text),), frames_of(generator, seconds))
    return sample_rows(
        generator, text, lengths, seeds=seeds, guidance_scale=guidance_scale, show_progress=show_progress
    )


def sample_rows(
    generator: Generator | AsRead | BestOf,
    text: list[str],
    lengths: Int[Tensor, "B"] | None,
    *,
    seeds: list[int],
    guidance_scale: float | None = None,
    steps: int | None = None,
    show_progress: bool = True,
) -> Motion:
    """Sample one motion per sentence, each of its own length in frames (None: the model finds them), in batches; the
    result is on the CPU. `steps` is for models that have them; None: as many as the model's own."""
    made = []
    for start in range(0, len(text), BATCH):
        rows = slice(start, start + BATCH)
        told = None if lengths is None else lengths[rows]
        motion = generator.sample(
            text[rows], told, seeds=seeds[rows], guidance_scale=guidance_scale, progress=show_progress,
            **in_steps(steps),
        )  # fmt: skip
        made.append(motion.to("cpu"))
    lengths = torch.cat([motion.lengths for motion in made]) if lengths is None else lengths
    longest = int(lengths.max())
    features = [motion.features[:, :longest] for motion in made]
    return Motion(torch.cat([F.pad(part, (0, 0, 0, longest - part.shape[1])) for part in features]), lengths)


def in_steps(steps: int | None) -> dict[str, int]:
    """Return what `sample` is told of a number of steps: nothing where none is asked for, as not every model has
    steps."""
    return {} if steps is None else {"steps": steps}


def check_model(model: Path) -> list[CheckResult]:
    """Return the checks that every generator must pass, on this run or model file.

    The batch is noise of the size of the model's own data: what the checks ask for does not depend on its content.
    """
    generator = load_generator(find_model(model))  # on the CPU, where every check is exact
    mean, std = generator.normaliser.mean, generator.normaliser.std
    text, lengths = ["a person walks forward", "someone sits down and waves"], torch.tensor([40, 60])
    noise = torch.randn(2, 60, len(mean), generator=torch.Generator().manual_seed(0))
    motion = Motion(mean + std * noise, lengths).zero_padding()
    batch = Batch(motion, text, generator.text_encoder(text).sentence, ids=["walk", "sit"])
    return check_generator(generator, batch)


def check_text(text: list[str]) -> None:
    """Refuse a sentence that holds no word that can be read, and warn of words that cannot be."""
    for sentence in text:
        check_unicode(sentence)
        check_sentence(sentence)


def row_seed(seed: int, sample: int) -> int:
    """Return the noise of a sample: the same for every sentence, so that sentences can be compared."""
    return int(np.random.SeedSequence([seed, sample]).generate_state(1)[0])


def lengths_of(generator: Generator, seconds: float | None, motions: int) -> Int[Tensor, "N"] | None:
    """Return frames of motions of a duration; None: the model finds them. A model that finds none makes 6 seconds.

    Raises:
        InputError: as `frames_of`.
    """
    if seconds is None and generator.capabilities.predicts_length:
        return None
    return torch.full((motions,), frames_of(generator, DEFAULT_SECONDS if seconds is None else seconds))


def frames_of(generator: Generator, seconds: float) -> int:
    """Return how many frames a motion of a duration has.

    Raises:
        InputError: the length is not one that the model can make.
    """
    skeleton = skeleton_of_width(len(generator.normaliser.mean))
    longest = generator.config.max_frames / skeleton.fps
    if not MIN_SECONDS <= seconds <= longest:
        raise InputError(f"seconds must be {MIN_SECONDS} to {longest:g} for this model, got {seconds:g}")
    return min(skeleton.frames(seconds), generator.config.max_frames)


def _paths(text: list[str], samples: int, out: Path, suffix: str | None) -> list[Path]:
    if out.suffix:
        ending = ending_of(out)
        if suffix is not None and ending_of_format(suffix) != ending:
            raise InputError(f"--out names a {ending} file, but --format says {suffix}: give one of them")
        if len(text) * samples == 1:
            return [out]
        stem, ending = out.name[: -len(ending)], out.name[-len(ending) :]
        return [
            out.with_name(f"{stem}-{i}-{k}{ending}" if samples > 1 else f"{stem}-{i}{ending}")
            for i in range(len(text))
            for k in range(samples)
        ]
    ending = ending_of_format(suffix or "npz")
    names = [f"{i}-{_slug(sentence)}" for i, sentence in enumerate(text)]
    return [
        out / (f"{name}-{k}{ending}" if samples > 1 else f"{name}{ending}") for name in names for k in range(samples)
    ]


def _slug(sentence: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", sentence.lower()).strip("-")[:48]
