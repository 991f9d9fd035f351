"""A run's model as one small file: half precision, config and statistics inside, nothing else."""

import hashlib
from pathlib import Path

from atm.base.errors import InputError
from atm.base.outputs import output
from atm.base.packaged import SUMS, read_sums
from atm.base.storage import atomic, find_model, read_model
from atm.evaluation.weights import load_evaluator, save_evaluator
from atm.models import load_generator, save_generator
from atm.space import load_space
from atm.space.weights import save_space


def pack(source: Path, out: Path) -> Path:
    """Write the model of a run with its weights in 16 bits; every command takes the file in place of the run.

    Where `SHA256SUMS` stands beside it, as it does beside the packaged weights, the file's line there is written anew.

    Raises:
        InputError: no model there, or a suffix that is not .safetensors.
    """
    if out.suffix != ".safetensors":
        raise InputError(f"a packed model is a .safetensors file, got {out}")
    file = find_model(source)
    kind = read_model(file).kind
    with output(out) as part:
        if kind == "space":
            save_space(load_space(file), part, half=True)
        elif kind == "evaluator":
            save_evaluator(part, load_evaluator(file), half=True)
        else:
            save_generator(part, load_generator(file), half=True)
    if (out.parent / SUMS).is_file():
        _write_sum(out)
    return out


def _write_sum(file: Path) -> None:
    sums = read_sums(file.parent) | {file.name: hashlib.sha256(file.read_bytes()).hexdigest()}
    with atomic(file.parent / SUMS) as part:
        part.write_text("".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())), encoding="utf-8")
