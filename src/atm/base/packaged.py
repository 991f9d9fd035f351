"""The weights that come with the package: made by this project (see weights/README.md)."""

from importlib.resources import files
from pathlib import Path

from atm.base.errors import InputError, unknown

NAMES = {
    "generator": "causal_flow_small.safetensors",
    "space": "space_scripted.safetensors",
    "space_meaning": "space_scripted.safetensors",
    "evaluator": "evaluator_scripted.safetensors",
    "early": "causal_flow_tiny.safetensors",
}
"""`space_meaning` is a name of before, when a second space came with the package: it is the one space now.
`early` is the generator of the demo: stopped while there was still something to learn."""


def named(model: Path) -> Path:
    """Return a path as it is; where nothing is there and it is the name of a packaged model, that model's file."""
    return packaged(str(model)) if str(model) in NAMES and not model.exists() else model


def packaged(name: str) -> Path:
    """Return the file of a packaged model."""
    if name not in NAMES:
        raise unknown("packaged model", name, NAMES)
    path = Path(str(files("atm") / "weights" / NAMES[name]))
    if not path.is_file():
        raise InputError(f"this installation lacks the packaged weights {path.name}; give a model of your own")
    return path
