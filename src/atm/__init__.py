"""Text-to-motion whose motion says what the sentence says.

    import atm

    model = atm.load("generator")
    motion = model.generate("a person waves twice", seconds=4, seed=0)
    motion.save("waves.bvh", names="mixamo", unit="cm", fps=30, up="z")

Nothing is imported before it is asked for, so that `import atm` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atm.apps.api import TextToMotion, evaluate, load, load_motion, load_space, similarity
    from atm.apps.take import Take
    from atm.base.errors import InputError

__all__ = [
    "InputError",
    "Take",
    "TextToMotion",
    "__version__",
    "evaluate",
    "load",
    "load_motion",
    "load_space",
    "similarity",
]

_DISTRIBUTION = "atm-motion"
"""Name of the package on the index, where `atm` is another project's."""
_HOMES = {"InputError": "atm.base.errors", "Take": "atm.apps.take"}
"""Modules of names; all others are in `atm.apps.api`."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib import metadata

        return metadata.version(_DISTRIBUTION)
    if name not in __all__:
        raise AttributeError(f"module 'atm' has no attribute {name!r}: it has {', '.join(__all__)}")
    return getattr(import_module(_HOMES.get(name, "atm.apps.api")), name)


def __dir__() -> list[str]:
    return __all__
