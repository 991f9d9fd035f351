"""The same motions without the studio: as a command, and as Python."""

import shlex

from atm.apps.studio.models import StudioModel
from atm.apps.studio.requests import AnyRequest, EditRequest, GenerateRequest, SequenceRequest


def command_of(request: AnyRequest, model: StudioModel) -> str | None:
    """Return the command that makes the same motions; None: the command line makes no sequences and edits nothing."""
    if not isinstance(request, GenerateRequest):
        return None
    dashed = request.text.startswith("-")  # it would be taken for an option
    words = ["atm", "generate", *([] if dashed else [request.text]), "--model", model.given]
    told = {"--seconds": request.seconds, "--seed": request.seed, "--guidance": request.guidance}
    told |= {"--steps": request.steps}
    for option, value in told.items():
        words += [] if value is None else [option, f"{value:g}" if isinstance(value, float) else str(value)]
    words += ["--samples", str(request.samples)] if request.samples > 1 else []
    words += ["--best-of", str(request.best_of)] if request.best_of > 1 else []
    words += ["--space", str(model.space)] if request.best_of > 1 and model.space else []
    words += ["--raw"] if request.raw else []
    words += ["--out", "motions" if request.samples > 1 else "motion.npz"]
    return shlex.join([*words, *(["--", request.text] if dashed else [])])


def python_of(request: AnyRequest, model: StudioModel, source: tuple[str, int] | None = None) -> str:
    """Return the lines of Python that make the same motions, as a list.

    Args:
        request: of a client.
        model: that answered it.
        source: of an edit: the lines that make the motions of which one is edited, and which one that is.
    """
    if isinstance(request, EditRequest) and source is not None:
        return _python_of_edit(request, model, *source)
    lines = ["import atm", "", f"model = atm.load({model.given!r})"]
    options = _options(request)
    if isinstance(request, SequenceRequest):
        parts = [(part.text, part.seconds) for part in request.parts]
        told = ", ".join([f"{parts!r}", "seed=seed", *options])
        seeds = [request.seed + k for k in range(request.samples)]
        return "\n".join([*lines, f"motions = [model.sequence({told}) for seed in {seeds!r}]", ""])
    told = {"seconds": request.seconds, "seed": request.seed, "samples": request.samples}
    told |= {"best_of": request.best_of} if request.best_of > 1 else {}
    told |= {"space": str(model.space)} if request.best_of > 1 and model.space else {}
    options = [*(f"{name}={value!r}" for name, value in told.items() if value is not None), *options]
    lines.append(f"motions = model.generate([{request.text!r}], {', '.join(options)})")
    return "\n".join([*lines, ""])


def _python_of_edit(request: EditRequest, model: StudioModel, before: str, sample: int) -> str:
    told = {"keep": request.keep or None, "path": request.path, "seconds": request.seconds}
    options = [*(f"{name}={value!r}" for name, value in told.items() if value is not None), *_options(request)]
    call = ", ".join([repr(request.text), "seed=seed", *options])
    seeds = [request.seed + k for k in range(request.samples)]
    return (
        f"{before}\nbefore = motions[{sample}]\nmodel = atm.load({model.given!r})\n"
        f"motions = [model.edit(before, {call}) for seed in {seeds!r}]\n"
    )


def _options(request: AnyRequest) -> list[str]:
    """Return the options that every call has, where a request differs from the defaults."""
    told = {"guidance": request.guidance, "steps": request.steps, "raw": request.raw or None}
    return [f"{name}={value!r}" for name, value in told.items() if value is not None]
