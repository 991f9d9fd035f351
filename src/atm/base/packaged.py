"""The weights that come with the package: made by this project on scripted motions (see weights/README.md)."""

from importlib.resources import files
from pathlib import Path

from atm.base.errors import InputError, unknown

NAMES = {
    "generator": "mdm_small.safetensors",
    "space": "space_scripted.safetensors",
    "space_meaning": "space_meaning.safetensors",
    "evaluator": "evaluator_scripted.safetensors",
    "early": "mdm_small_early.safetensors",
}
"""`space_meaning` goes on from `space`: it hears numbers, and knows whole motions better than pieces of them.
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
