"""A run's model as one small file: half precision, config and statistics inside, nothing else."""

from pathlib import Path

from atm.base.errors import InputError
from atm.base.outputs import output
from atm.base.storage import find_model, read_model
from atm.evaluation.weights import load_evaluator, save_evaluator
from atm.models import load_generator, save_generator
from atm.space import load_space
from atm.space.weights import save_space


def pack(source: Path, out: Path) -> Path:
    """Write the model of a run with its weights in 16 bits; every command takes the file in place of the run.

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
    return out
