"""Steps of the demo. Each leaves its result in the folder, so that a second call goes on where one stopped."""

import json
import sys
from importlib.resources import files
from pathlib import Path

import torch

from atm.alignment import Alignment, AlignmentConfig
from atm.alignment.config import MINILM_EPSILON
from atm.apps import train as start
from atm.apps.compare import answer_prompts
from atm.apps.compare.prompts import Prompt, read_prompts
from atm.apps.demo.report import write_report
from atm.apps.demo.result import ARMS, DemoResult
from atm.apps.evaluate import evaluate_path
from atm.apps.explain import Explanation, explain_batch
from atm.apps.options import EvaluateOptions
from atm.base.config import changed, override
from atm.base.errors import InputError
from atm.base.lease import held
from atm.base.packaged import packaged
from atm.base.reading import read_json
from atm.base.storage import atomic, find_model
from atm.data.batches import BatchSampler
from atm.data.humanml3d import open_dataset
from atm.models import load_generator
from atm.scripted.write import write_scripted
from atm.space import load_space
from atm.text import CachedTextEncoder, load_text_encoder
from atm.training.presets import preset
from atm.training.record import RunFolder

GENERATOR = "mdm_tiny"
"""The paper's first baseline. The packaged generator learns to follow a plan, and the losses have little to say to it
(docs/results/2026-11-30_causal_flow.md)."""
STEPS = 400
"""Steps of each arm, equal for both: the losses cost time, and an arm that has made more steps would win by them."""
CLIPS, ACTIONS = 2000, 1
"""Motions, and what each does, at most: in minutes a tiny model learns sentences of one action, not of four."""
EVALUATED = 288
REPEATS = 3
"""The short protocol: the field takes all test motions, 20 times."""
FULL_MINUTES = {"space": 20.0, "evaluator": 8.0}
"""Training time of what the package otherwise brings, for `--full`."""


def run_demo(
    out: Path, *, full: bool = False, steps: int = STEPS, clips: int = CLIPS, seed: int = 0, show_progress: bool = True
) -> Path:
    """Run what is not there yet, and write the page.

    Args:
        out: folder of everything.
        full: train space and evaluator here, too.
        steps: training steps of each arm.
        clips: scripted motions.
        seed: of data, training and sampling.
        show_progress: bars, and a line per step, on standard error.

    Returns:
        The path of the page.

    Raises:
        InputError: the folder holds a demo of other settings.
    """
    if steps < 1:
        raise InputError(f"steps must be at least 1, got {steps}")
    settings = {"full": full, "steps": steps, "clips": clips, "seed": seed}
    with held(out, "the demo"):
        _check_settings(out, settings)
        return _run_demo(out, full=full, steps=steps, clips=clips, seed=seed, show_progress=show_progress)


def _run_demo(out: Path, *, full: bool, steps: int, clips: int, seed: int, show_progress: bool) -> Path:

    def say(line: str) -> None:
        if show_progress:
            print(line, file=sys.stderr)

    say(f"1/5 scripted motions ({clips})")
    data = out / "data"
    write_scripted(data, clips=clips, seed=seed, actions=ACTIONS, progress=show_progress)
    models = _trained_here(out, data, seed, show_progress, say) if full else _from_package()

    say(f"2/5 two arms from the same first weights, {steps} steps each")
    runs = {}
    for arm, alignment in (("baseline", ["alignment=none"]), ("aligned", [f"alignment.space={models['space']}"])):
        say(f"    {arm}: {ARMS[arm]}")
        name = GENERATOR if arm == "baseline" else f"{GENERATOR}_atm"
        settings = [f"data={data}", f"seed={seed}", f"steps={steps}", *alignment]
        runs[arm] = _train(out / arm, name, settings, None, show_progress)

    say("3/5 evaluation by a short protocol")
    reports = {}
    for arm in ARMS:
        reports[arm], _ = evaluate_path(
            out / arm, data=data, evaluator=models["evaluator"], show_progress=show_progress,
            options=EvaluateOptions(repeats=REPEATS, limit=EVALUATED, multimodality=False, seed=seed),
        )  # fmt: skip

    say("4/5 motions for a handful of sentences")
    arms = {arm: load_generator(find_model(out / arm)) for arm in ARMS}
    answers = answer_prompts(arms, prompts(), seed=seed, show_progress=show_progress)

    say("5/5 one mined example, and the page")
    explanation = _explain(out, data, models["space"], seed)
    path = out / "report.html"
    result = DemoResult(reports, runs, answers, explanation, clips, full)
    with atomic(path) as part:
        part.write_text(write_report(result), encoding="utf-8")
    return path


def prompts() -> list[Prompt]:
    """Return the sentences whose motions the page shows: one action each, worded by hand."""
    return read_prompts(Path(str(files("atm.apps.demo") / "prompts.json")))


def _check_settings(out: Path, settings: dict) -> None:
    """Refuse a folder that holds the demo of other settings: what is there is taken, not made again."""
    file = out / "demo.json"
    if file.is_file():
        try:
            known = read_json(file)
        except InputError as error:
            raise InputError(f"{file} {error}: it is not the demo's own; give another --out") from None
        if known != settings:
            raise InputError(f"{out} holds a demo made with {known}, asked is {settings}: give another --out")
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        with atomic(file) as part:
            part.write_text(json.dumps(settings) + "\n")
    except OSError as error:
        raise InputError(f"cannot write to {out}: {error.strerror}") from None


def _from_package() -> dict[str, Path]:
    return {name: packaged(name) for name in ("space", "evaluator")}


def _trained_here(out: Path, data: Path, seed: int, show_progress: bool, say) -> dict[str, Path]:
    say(f"    space and evaluator from nothing: about {sum(FULL_MINUTES.values()):g} minutes of training")
    paths = {}
    for name, preset_name in (("space", "space_scripted"), ("evaluator", "evaluator_scripted")):
        # Seeds apart: the evaluator must not share its start with what is optimised.
        settings = [f"data={data}", f"seed={seed + (1000 if name == 'evaluator' else 0)}"]
        paths[name] = _train(out / name, preset_name, settings, FULL_MINUTES[name], show_progress).model
    return paths


def _train(folder: Path, name: str, settings: list[str], minutes: float | None, show_progress: bool) -> RunFolder:
    config = override(preset(name), settings)
    return start.start_or_resume(config, folder, minutes=minutes, from_model=None, show_progress=show_progress)


def _explain(out: Path, data: Path, space: Path, seed: int) -> Explanation:
    """Return a batch that the model was not trained on, at the end of the baseline's training: what is still
    confused."""
    dataset = open_dataset(data, "test")
    encoder = CachedTextEncoder(load_text_encoder("minilm"))
    encoder.prepare(dataset.captions(), progress=False)
    generator = load_generator(find_model(out / "baseline"), encoder)
    losses = {"inter.weight": 1.0, "intra.weight": 1.0, "intra.gamma": 1.0, "epsilon": MINILM_EPSILON}
    config = changed(AlignmentConfig(), losses)
    batch = BatchSampler(dataset, encoder, batch_size=64, seed=seed)(0)
    with torch.no_grad():
        return explain_batch(generator, Alignment(config, load_space(space, encoder)), batch, seed=seed)
