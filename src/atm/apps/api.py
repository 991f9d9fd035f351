"""`import atm` in Python: models by name or path, motions from sentences, scores, evaluations."""

import os
from collections.abc import Sequence
from dataclasses import replace
from numbers import Real
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from atm.apps.edit import edited
from atm.apps.evaluate import evaluate_path
from atm.apps.generate import as_generated, check_text, frames_of, held, in_steps, lengths_of, make_motions
from atm.apps.options import EvaluateOptions, SampleOptions
from atm.apps.resources import Opened, device, open_generator
from atm.apps.sequence import sequence_of
from atm.apps.take import Take
from atm.base.errors import InputError
from atm.base.pretrained import CARD_FILE, CONFIG_FILE, check_manifest, on_hub, write_manifest
from atm.base.storage import MODEL_FILE, appearing, find_model
from atm.evaluation.report import Report
from atm.generators.parts.inputs import check_steps
from atm.models import save_generator
from atm.motion import padded, skeleton_of_width
from atm.space import Space
from atm.space import load_space as read_space

PathLike = str | os.PathLike[str]


class TextToMotion:
    """A generator, ready to use: `atm.load`."""

    def __init__(self, opened: Opened):
        """Wrap a generator that was opened."""
        self.file, self.generator = opened

    @property
    def name(self) -> str:
        """Name of the model in the table of models, such as "mdm"."""
        return self.generator.config.name

    def generate(
        self,
        text: str | Sequence[str],
        *,
        seconds: float | Sequence[float] | None = None,
        seed: int = 0,
        samples: int = 1,
        guidance: float | None = None,
        steps: int | None = None,
        best_of: int = 1,
        best_by: str = "space",
        space: PathLike | None = None,
        raw: bool = False,
        progress: bool = False,
    ) -> Take | list[Take]:
        """Make motions from sentences, in one batch.

        Args:
            text: one sentence or several.
            seconds: length of the motions, or of each sentence's; None: as long as the model finds that it takes, or 6.
            seed: the same seed gives the same motion, whatever else is asked for.
            samples: motions of each sentence.
            guidance: scale of classifier-free guidance; None: the model's own.
            steps: of sampling, 1 to `capabilities.steps` of the generator; None: the model's own.
            best_of: so many are made for each motion, and the best one is kept.
            best_by: "space": the one nearest to its sentence is the best; "verdict": first counts what the oracles find
                done of what was asked.
            space: what measures that; None: the packaged one, for packaged generators.
            raw: as the network gave it; False: bones keep their lengths, and planted feet stay where they are.
            progress: show a bar.

        Returns:
            A motion for one sentence and one sample, else a list: sentence by sentence, the samples of each together.

        Raises:
            InputError: an empty sentence, a length that the model cannot make, an impossible number.
        """
        sentences = [text] if isinstance(text, str) else list(text)
        options = SampleOptions(
            samples=samples, seed=seed, guidance_scale=guidance, steps=steps, candidates=best_of, best_by=best_by,
            space=None if space is None else Path(space),
        )  # fmt: skip
        if not sentences:
            raise InputError('no sentence: expected one, such as "a person waves twice", or a list of them')
        lengths = self._lengths(seconds, len(sentences))
        made = make_motions(
            Opened(self.file, self.generator), sentences, lengths, options, raw=raw, show_progress=progress
        )
        takes = [Take.of(motion) for motion in made]
        return takes[0] if isinstance(text, str) and samples == 1 else takes

    def _lengths(self, seconds: float | Sequence[float] | None, sentences: int) -> Int[Tensor, "N"] | None:
        if seconds is None:
            return lengths_of(self.generator, None, sentences)
        each = [float(seconds)] * sentences if isinstance(seconds, Real) else [float(one) for one in seconds]
        if len(each) != sentences:
            raise InputError(f"seconds must be one number or one for each sentence: {sentences}, got {len(each)}")
        return torch.tensor([frames_of(self.generator, one) for one in each])

    def sequence(
        self,
        parts: Sequence[tuple[str, float]],
        *,
        seed: int = 0,
        guidance: float | None = None,
        steps: int | None = None,
        raw: bool = False,
    ) -> Take:
        """Make one motion of several sentences, one after the other; each goes on from the end of the one before.

        Args:
            parts: sentences, with the seconds of each.
            seed, guidance, steps, raw: as in `generate`.

        Raises:
            InputError: no part, a part of no length, or a model that cannot go on from a motion.
        """
        self.check_sequence(parts)
        check_steps(steps, self.generator.capabilities.steps)
        whole = sequence_of(self.generator, parts, seed=seed, guidance_scale=guidance, steps=steps)
        joints, features = (as_generated if raw else held)(whole)
        source = {"model": self.file.name, "seed": seed, "raw": raw, "parts": [list(part) for part in parts]}
        source |= in_steps(steps)
        return Take(joints, ", then ".join(text for text, _ in parts), whole.skeleton, features, source)

    def edit(
        self,
        motion: Take,
        text: str,
        *,
        keep: Sequence[tuple[float, float]] = (),
        path: Sequence[tuple[float, float]] | None = None,
        seconds: float | None = None,
        seed: int = 0,
        guidance: float | None = None,
        steps: int | None = None,
        raw: bool = False,
    ) -> Take:
        """Make a motion anew but for the parts that are kept, or along a path.

        Args:
            motion: what is edited.
            text: the sentence for what is made.
            keep: parts that stand, as pairs of seconds, such as [(0, 1), (3, 4)]: their features are put in. A model
                that completes motions (mdm, momask, bamm) takes any, one that goes on (causal_flow) a beginning.
            path: points on the floor, as x (to the left) and z (ahead) in metres from where the motion begins, such as
                [(0, 2), (1, 3)]: the root goes through them at even speed. For models that can be held on one (mdm).
            seconds: length of the result; None: that of the motion.
            seed, guidance, steps, raw: as in `generate`; bodies that are held move kept parts by a little.

        Raises:
            InputError: a part that is not in the motion, or that the model cannot keep; a path that is none, or a model
                that cannot be held on one.
        """
        check_text([text])
        check_steps(steps, self.generator.capabilities.steps)
        whole = edited(
            self.generator, motion.features, text, keep=keep, path=path, seconds=seconds, seed=seed,
            guidance_scale=guidance, steps=steps,
        )  # fmt: skip
        joints, features = (as_generated if raw else held)(whole)
        source = {"model": self.file.name, "seed": seed, "raw": raw, "keep": [list(part) for part in keep]}
        source |= in_steps(steps) | ({} if path is None else {"path": [list(point) for point in path]})
        return Take(joints, text, whole.skeleton, features, source)

    def check_sequence(self, parts: Sequence[tuple[str, float]]) -> None:
        """Refuse what `sequence` cannot make of these parts; errors as there."""
        if not parts:
            raise InputError('a sequence needs a part or more, such as [("walks forward", 3), ("sits down", 2)]')
        check_text([text for text, _ in parts])
        if not self.generator.capabilities.goes_on:
            raise InputError(
                f"a sequence needs a model that learnt to go on from a motion, such as causal_flow; {self.file.name} "
                f"holds {self.name}, which did not: generate each part by itself"
            )
        for _, seconds in parts:
            frames_of(self.generator, seconds)

    def save_pretrained(self, folder: PathLike) -> Path:
        """Write the model as a folder in the layout of a model hub: weights with their statistics (safetensors),
        config.json, a card for people (README.md), and manifest.json with the SHA-256 of all.

        Raises:
            InputError: the folder is there already, or cannot be written.
        """
        folder = Path(folder)
        if folder.exists():
            raise InputError(f"{folder} is there already: name a new folder")
        with appearing(folder) as made:
            save_generator(made / MODEL_FILE, self.generator)
            (made / CONFIG_FILE).write_text(self.generator.config.model_dump_json(indent=2) + "\n")
            (made / CARD_FILE).write_text(self._card(), encoding="utf-8")
            write_manifest(made, [MODEL_FILE, CONFIG_FILE, CARD_FILE])
        return folder

    def _card(self) -> str:
        """Return the card of a hub: what the model is, and how it is loaded."""
        skeleton = skeleton_of_width(len(self.generator.normaliser.mean))
        seconds = self.generator.config.max_frames / skeleton.fps
        return (
            "---\nlibrary_name: atm\ntags:\n- text-to-motion\n---\n\n"
            f"# {self.name}\n\nMakes motions of up to {seconds:g} s from English sentences, on the skeleton of "
            f"{skeleton.name} ({skeleton.n_joints} joints, {skeleton.fps:g} frames per second). The weights hold the "
            "statistics that motions are normalised with, and manifest.json the SHA-256 of every file.\n\n"
            "```python\nimport atm\n\n"
            'model = atm.load("hf://OWNER/NAME")  # or the path of this folder\n'
            'motion = model.generate("a person walks forward")\n```\n'
        )

    @staticmethod
    def from_pretrained(folder: PathLike) -> "TextToMotion":
        """Load a folder that `save_pretrained` wrote, or `hf://OWNER/NAME`; its files are held against the manifest.

        Raises:
            InputError: no such folder, or a file in it that is not what the manifest says.
        """
        if not on_hub(folder):
            check_manifest(Path(folder), needed=MODEL_FILE)
        return TextToMotion(open_generator(Path(folder)))

    def __repr__(self) -> str:
        return f"<TextToMotion {self.name} of {self.file}>"


def load(model: PathLike = "generator") -> TextToMotion:
    """Load a generator, on the GPU where there is one.

    Args:
        model: name of a packaged model ("generator", "early"), a run folder, a model file, a folder of
            `save_pretrained`, or one of them on the hub, `hf://OWNER/NAME`; files are held against its manifest.

    Raises:
        InputError: nothing there, no generator, or a damaged file.
    """
    return TextToMotion(open_generator(Path(model)))


def load_motion(path: PathLike) -> Take:
    """Load a motion file: `.npz`, `.npy` of joints or features, BVH, GLB, VRMA, AMASS or Kimodo's npz.

    Raises:
        InputError: no such file, arrays of no known shape, or a body that is none.
    """
    from atm.export.recordings import read_motion  # brings the readers of recordings, which models do not need

    return Take.of(read_motion(Path(path)))


def load_space(space: PathLike = "space") -> Space:
    """Load a text-motion space, frozen, on the GPU where there is one: `encode_text`, `encode_motion`.

    Args:
        space: "space", the packaged one, a run folder, or a model file.

    Raises:
        InputError: nothing there, or another kind of model.
    """
    return read_space(find_model(Path(space))).to(device()).eval().requires_grad_(False)


@torch.no_grad()
def similarity(
    text: str | Sequence[str], motions: Take | Sequence[Take], *, space: PathLike | Space = "space"
) -> Float[np.ndarray, "N M"]:
    """Return the cosine of every sentence (rows) with every motion (columns) in a text-motion space.

    Args:
        text: one sentence or several.
        motions: one motion or several, of the skeleton that the space was trained on.
        space: a space of `load_space`, or what it takes.

    Raises:
        InputError: nothing to compare, or motions that the space cannot read.
    """
    texts = [text] if isinstance(text, str) else list(text)
    takes = [motions] if isinstance(motions, Take) else list(motions)
    if not texts or not takes:
        raise InputError(f"expected a sentence and a motion or more to compare, got {len(texts)} and {len(takes)}")
    check_text(texts)
    measured = space if isinstance(space, Space) else load_space(space)
    said = F.normalize(measured.encode_text(texts), dim=-1)
    made = padded([take.features for take in takes]).to(said.device)
    return (said @ F.normalize(measured.encode_motion(made), dim=-1).T).cpu().numpy()


def evaluate(
    model: PathLike | TextToMotion,
    data: PathLike,
    *,
    evaluator: PathLike | None = None,
    out: PathLike | None = None,
    options: EvaluateOptions | None = None,
    progress: bool = False,
    **changed: object,
) -> Report:
    """Evaluate a generator, or a folder of motions named by the ids of the split, by the field's protocol.

    Args:
        model: of `load`, or a path or name as `atm evaluate` takes it.
        data: data folder.
        evaluator: run folder or file; None: the packaged one, which knows scripted motions only.
        out: file of the report; None: where `atm evaluate` puts it.
        options: protocol, numbers and seeds; None: the defaults.
        progress: show bars.
        **changed: fields of `EvaluateOptions` that differ from `options`, such as `repeats=5`.

    Returns:
        Every replication's numbers; `report.estimates(report.name)` has their means with 95 % intervals.
    """
    what = model.file if isinstance(model, TextToMotion) else Path(model)
    report, _ = evaluate_path(
        what,
        data=Path(data),
        evaluator=None if evaluator is None else Path(evaluator),
        options=replace(options or EvaluateOptions(), **changed),
        out=None if out is None else Path(out),
        show_progress=progress,
    )
    return report
