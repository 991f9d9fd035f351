"""`atm compare`: from run folders and a file of prompts to a page."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from atm.apps.compare.answers import Answer, answer_prompts
from atm.apps.compare.prompts import SECONDS, packaged_prompts, read_prompts
from atm.apps.compare.sections import SECTIONS, motion_section, prompt_section, score_section
from atm.apps.resources import open_generator
from atm.base.errors import InputError
from atm.base.outputs import check_output, output
from atm.base.packaged import packaged
from atm.base.storage import find_model
from atm.pages.page import contents, page


def compare_models(
    models: Sequence[Path],
    *,
    prompts: Path | None = None,
    seconds: float = SECONDS,
    samples: int = 1,
    seed: int = 0,
    guidance_scale: float | None = None,
    out: Path,
    show_progress: bool = True,
) -> list[Answer]:
    """Let models answer the same prompts with the same noise, judge the motions, and write the page.

    Args:
        models: run folders or model files; none: the packaged generator.
        prompts: a file, see `read_prompts`; None: the packaged prompts.
        seconds: length of a motion whose prompt names none.
        samples: motions per prompt and model.
        seed: of the noise.
        guidance_scale: None takes each model's own.
        out: the page (.html); the same as data is written beside it (.json).
        show_progress: bars.

    Raises:
        InputError: a file that is no model, prompts of another form, or a length that a model cannot make.
    """
    if out.suffix.lower() != ".html":
        raise InputError(f"a comparison is a page: expected a path that ends in .html, got {out}")
    for file in (out, out.with_suffix(".json")):
        check_output(file)
    asked = packaged_prompts() if prompts is None else read_prompts(prompts, seconds=seconds)
    files = {name: find_model(path) for name, path in _named(models or [packaged("generator")]).items()}
    answers = answer_prompts(
        {name: open_generator(file).generator for name, file in files.items()},
        asked, samples=samples, seed=seed, guidance_scale=guidance_scale, show_progress=show_progress,
    )  # fmt: skip
    html = page(
        "Who does what the sentence says?",
        [contents(SECTIONS), score_section(answers), prompt_section(answers), motion_section(answers)],
        kicker="atm compare",
        lead=(
            "The same sentences and the same noise for every model, in step. Space plays, drag turns all figures of a "
            "prompt, scroll zooms."
        ),
        footer=f"{', '.join(files)}; seed {seed}",
    )
    with output(out.with_suffix(".json")) as part:
        part.write_text(json.dumps([_as_data(answer) for answer in answers], indent=1, ensure_ascii=False) + "\n")
    with output(out) as part:
        part.write_text(html, encoding="utf-8")
    return answers


def _as_data(answer: Answer) -> dict:
    """Return an answer without its motion."""
    prompt, examined = answer.prompt, answer.examined
    return {
        "prompt": prompt.text,
        "seconds": prompt.seconds,
        "program": None if prompt.asked.program is None else prompt.asked.program.to_json(),
        "not judged": list(prompt.asked.unread),
        "model": answer.model,
        "sample": answer.sample,
        "right": None if examined is None else examined.verdict.right,
        "seen besides": None if examined is None else list(examined.seen),
        "findings": None if examined is None else [finding._asdict() for finding in examined.findings],
    }


def _named(paths: Sequence[Path]) -> dict[str, Path]:
    """Return a short name for each: the last part of its path, with as many before it as tell it from the others."""
    names = {}
    every = [_without_suffix(Path(os.path.realpath(path))) for path in paths]
    for place, (path, parts) in enumerate(zip(paths, every, strict=True)):
        others = every[:place] + every[place + 1 :]
        if parts in others:
            raise InputError(f"{path} is compared with itself: name each model once")
        length = next(n for n in range(1, len(parts) + 1) if all(other[-n:] != parts[-n:] for other in others))
        names["/".join(parts[-length:])] = path
    return names


def _without_suffix(path: Path) -> tuple[str, ...]:
    return path.with_suffix("").parts if path.name else path.parts
