"""PyTorch files from strangers: read so that nothing in them runs, unless the reader trusts exactly what they ask for.

A PyTorch file is a pickle beside raw numbers, and a pickle is a small program: it may name any class or function of any
installed package and call it. `read_pickle` lets it name what weights are made of. Where a file names more, it is told
by reading the program without executing it (`names_in`), and only a caller who trusts the file goes on.
"""

import io
import pickle
import pickletools
import re
import types
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.serialization import safe_globals

from atm.base.arrays import encode_latin1
from atm.base.errors import InputError
from atm.base.reading import mistaken

UNTOLD = "something that it makes up while it is read"
"""In the place of a name that the program of a pickle does not spell out."""

_WEIGHTS = re.compile(
    r"torch\.(storage\.)?\w+Storage|torch\._utils\._rebuild_(tensor|tensor_v2|parameter|parameter_with_state)"
    r"|torch\.(Size|device|Tensor|\w*int\d*|b?float\d*|bool|half|double)|torch\.nn\.parameter\.Parameter"
    r"|collections\.(OrderedDict|Counter)|torch\.serialization\._get_layout"
    r"|numpy\.(_?core\.(multiarray\.(scalar|_reconstruct)|numeric\._frombuffer)|ndarray|dtype|dtypes\.\w+)"
    r"|_codecs\.encode"
)
"""Names of weights in a pickle. If a file is safe is up to PyTorch; this only keeps the plain names off the list."""
_LARGEST_PROGRAM = 256 * 2**20
"""Bytes of the program of a pickle, without its numbers, that are read."""
_NUMBERS = [
    *((getattr(np._core.multiarray, name), f"numpy.{core}.multiarray.{name}")
      for name in ("scalar", "_reconstruct") for core in ("core", "_core")),
    *((np._core.numeric._frombuffer, f"numpy.{core}.numeric._frombuffer") for core in ("core", "_core")),
    *(kind for name in np.dtypes.__all__ if isinstance(kind := getattr(np.dtypes, name), type)),
    np.ndarray, np.dtype, (encode_latin1, "_codecs.encode"),
]  # fmt: skip
"""Parts of NumPy's numbers and arrays, such as a counter of steps beside the weights. They run nothing of the file."""
_WRAPPERS = ("module.", "_orig_mod.")
"""Beginnings that `DataParallel` and `torch.compile` put before every key."""
_PICKLES_OF_AN_OLD_FILE = 5
"""Magic number, protocol, machine, content, keys; raw numbers follow."""


def read_pickle(file: Path, *, trust: bool = False) -> Any:
    """Return what a PyTorch file holds, on the CPU.

    Args:
        file: written by `torch.save`, of today (a zip archive) or before 2020.
        trust: call what the file names, even if it is more than weights are made of. Names of packages that are not
            installed become empty objects. What `names_in` does not see stays forbidden.

    Raises:
        InputError: there is no such file, it is damaged or of another kind, or it asks for more than it may.
    """
    if not file.is_file():
        raise InputError(f"there is no file {file}")
    if said := mistaken(file):
        raise InputError(f"{file} {said}")
    try:
        _check_program(file)
        with safe_globals(_NUMBERS):
            return unwrapped(torch.load(file, map_location="cpu", weights_only=True))
    except Exception as error:  # a damaged file raises whatever zip, pickle or torch stumbles over first
        reason = _reason(error)
    names = names_in(file)
    more = [name for name in names or [] if not _WEIGHTS.fullmatch(name)]
    if more and not trust:
        raise InputError(
            f"{file} holds more than weights: to read it, Python would have to run {', '.join(more)}. Nothing was run. "
            "If you know who made the file and trust them, say so with --trust"
        )
    if names and trust:
        try:
            module = _module_for(frozenset(names))
            return unwrapped(torch.load(file, map_location="cpu", weights_only=False, pickle_module=module))
        except Exception as error:  # code of the file's own choice
            reason = f"even trusting it: {_reason(error)}"
    raise InputError(f"cannot read {file} as PyTorch weights: it is damaged, or another kind of file ({reason})")


def _check_program(file: Path) -> None:
    """Refuse an archive whose pickle unpacks to more than names and shapes of weights can take."""
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            largest = max((one.file_size for one in archive.infolist() if one.filename.endswith(".pkl")), default=0)
        if largest > _LARGEST_PROGRAM:
            raise ValueError(f"its pickle unpacks to {largest:,} bytes")


def unwrapped(content: Any) -> Any:
    """Return a file's content, its tables of weights without what wrappers of a model put before all their keys."""
    if not isinstance(content, dict) or not content:
        return content
    for wrapper in _WRAPPERS * 2:
        if all(isinstance(key, str) and key.startswith(wrapper) for key in content):
            content = {key.removeprefix(wrapper): value for key, value in content.items()}
    return {key: unwrapped(value) if isinstance(value, dict) else value for key, value in content.items()}


def names_in(file: Path) -> list[str] | None:
    """Return every class and function that reading the file would look up, in its order; nothing is executed.

    Returns:
        Dotted names, `UNTOLD` among them where the program computes one; None: the file is no pickle.
    """
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                program = next(name for name in archive.namelist() if name.endswith("data.pkl"))
                if archive.getinfo(program).file_size > _LARGEST_PROGRAM:
                    return None
                return list(dict.fromkeys(_names(io.BytesIO(archive.read(program)))))
        with file.open("rb") as stream:
            found: dict[str, None] = {}
            for _ in range(_PICKLES_OF_AN_OLD_FILE):
                found |= dict.fromkeys(_names(stream))
            return list(found)
    except Exception:  # pickletools says ValueError of most damage, and stumbles over the rest
        return None


def _names(stream: io.BufferedIOBase) -> Iterator[str]:
    """Give names in one pickle: written out, or put together from two strings on the stack of the program's machine.

    Strings are followed through stack and memo; what a call leaves there is not known (None).
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for code, argument, _ in pickletools.genops(stream):
        top = stack[-1] if stack else None
        taken = _taken(stack, code.stack_before)
        left = [argument if isinstance(argument, str) else None] * len(code.stack_after)
        if code.name in ("GLOBAL", "INST"):
            yield argument.replace(" ", ".", 1)
            left = [None]
        elif code.name == "STACK_GLOBAL":
            yield ".".join(taken) if len(taken) == 2 and all(isinstance(part, str) for part in taken) else UNTOLD
        elif code.name.startswith("EXT"):
            yield UNTOLD
        elif code.name == "MARK":
            left = [_MARK]
        elif code.name == "DUP":
            left = [top, top]
        elif code.name == "MEMOIZE":
            memo[len(memo)] = top
            left = [top]
        elif code.name.endswith("PUT"):
            memo[argument] = top
        elif code.name.endswith("GET"):
            left = [memo.get(argument)]
        stack += left


_MARK = object()


def _taken(stack: list[Any], before: list[pickletools.StackObject]) -> list[Any]:
    """Remove from the stack what an instruction takes: as many as it says, or all down to the last mark."""
    count = len(before)
    if pickletools.markobject in before:
        depth = next((i for i, value in enumerate(reversed(stack), start=1) if value is _MARK), len(stack))
        count = depth + before.index(pickletools.markobject)
    start = max(len(stack) - count, 0)
    taken = stack[start:]
    del stack[start:]
    return taken


def _module_for(allowed: frozenset[str]) -> types.SimpleNamespace:
    """Return what `torch.load` takes for the pickle module: it looks up `allowed` names alone."""

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if f"{module}.{name}" not in allowed:
                raise pickle.UnpicklingError(f"it asks for {module}.{name}, which it did not say before")
            try:
                return super().find_class(module, name)
            except (ImportError, AttributeError):
                return type(name, (_Absent,), {"__module__": module})

    def load(stream: io.BufferedIOBase, **options: Any) -> Any:
        return Unpickler(stream, **options).load()

    return types.SimpleNamespace(Unpickler=Unpickler, load=load, __name__="pickle")


class _Absent:
    """Stands where a file has an object of a package that is not here."""

    def __init__(self, *_arguments: Any, **_options: Any):
        pass

    def __setstate__(self, _state: Any) -> None:
        pass

    def __setitem__(self, _key: Any, _value: Any) -> None:
        pass

    def append(self, _item: Any) -> None:
        pass

    def extend(self, _items: Any) -> None:
        pass


def _reason(error: Exception) -> str:
    """Return the one line that says what was wrong; PyTorch puts advice around it."""
    lines = (str(error).strip() or type(error).__name__).splitlines()
    told = next((line for line in lines if _TOLD in line), lines[0])
    return told.rpartition(_TOLD)[2].strip()


_TOLD = "WeightsUnpickler error:"
