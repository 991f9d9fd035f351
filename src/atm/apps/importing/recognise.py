"""Which of the published models a checkpoint is, and whose file it may be where it does not fit."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from atm.base.config import Config
from atm.base.errors import InputError
from atm.motion import skeleton_of_width
from atm.published import Release, read_pickle

DATA_SETS = {263: "humanml3d", 251: "kit"}
"""What the name of a preset says of its data set, by features per frame."""


def recognised(config: Config, features: int, presets: Sequence[Callable[[], Config]]) -> str:
    """Return the published model that a config comes nearest to, and what differs.

    Args:
        config: of what was read.
        features: numbers per frame.
        presets: see `atm.published.Release`.
    """
    skeleton = skeleton_of_width(features)
    body = f"{features} features per frame: {skeleton.name}, {skeleton.n_joints} joints, {skeleton.fps:g} fps"
    own = dict(_leaves(config.model_dump(mode="json")))
    near: tuple[list[str], str] | None = None
    for preset in presets:
        if DATA_SETS[features] not in preset.__name__:
            continue
        published = dict(_leaves(preset().model_dump(mode="json")))
        keys = [key for key in published | own if own.get(key) != published.get(key) and key not in _OF_THE_MACHINE]
        if near is None or len(keys) < len(near[0]):
            near = (keys, preset.__name__)
    if near is None:
        return f"{config.name} ({body})"
    keys, name = near
    differs = ", ".join(f"{key}={own.get(key)}" for key in keys)
    return f"{name} ({body})" + (f", but {differs}" if differs else "")


def looks_like(files: Sequence[Path], releases: dict[str, Release]) -> list[str]:
    """Return names of the systems whose keys are in the files; unreadable ones tell nothing."""
    keys: set[str] = set()
    for file in files:
        try:
            keys |= set(_keys(read_pickle(file)))
        except InputError:
            continue
    return [name for name, release in releases.items() if keys & set(release.signs)]


_OF_THE_MACHINE = {"database", "vae", "vocabulary"}
"""Config keys that say where things lie or what words there are, and nothing of the model."""


def _leaves(config: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield above + key, value


def _keys(content: Any) -> Iterator[str]:
    """Give names in a file: of its tables, and of the weights in them."""
    if isinstance(content, dict):
        for key, value in content.items():
            if isinstance(key, str):
                yield key
            if isinstance(value, dict):
                yield from (inner for inner in value if isinstance(inner, str))
