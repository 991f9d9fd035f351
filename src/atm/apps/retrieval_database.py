"""The motions that ReMoDiffuse retrieves from, made from a data set."""

from pathlib import Path

import torch

from atm.base.errors import InputError
from atm.base.outputs import check_output, output
from atm.base.progress import progress
from atm.data.humanml3d import MotionDataset, open_dataset
from atm.generators.remodiffuse.database import SUFFIX, Database, write_database
from atm.interface import TextEncoder
from atm.text import CachedTextEncoder, load_text_encoder

BATCH = 64
"""Captions that are embedded at a time."""


def database_of_folder(
    data: Path, out: Path, *, split: str, text_encoder: str, show_progress: bool = False, force: bool = False
) -> Path:
    """Write the database of a data folder's split, and say where.

    Args:
        data: folder in the HumanML3D layout.
        out: file to write, ending in .safetensors.
        split: list of motions; `train` for a model that is trained on this data.
        text_encoder: name of the language model of the models that will search it.
        show_progress: show bars.
        force: replace a file that atm did not write.

    Raises:
        InputError: another suffix, no such data or split, or an unknown language model.
    """
    if out.suffix != SUFFIX:
        raise InputError(f"a retrieval database ends in {SUFFIX}, got {out}: published ones are the .npz files")
    check_output(out, force=force)
    dataset = open_dataset(data, split)
    encoder = CachedTextEncoder(load_text_encoder(text_encoder))
    # All captions, though only the first of each motion are asked for: a training on this data needs them next.
    encoder.prepare(dataset.captions(), progress=show_progress)
    database = build_database(dataset, encoder, show_progress=show_progress)
    with output(out, force=force) as part:
        write_database(part, database)
    return out


def build_database(
    dataset: MotionDataset, text_encoder: TextEncoder, *, max_frames: int = 196, show_progress: bool = False
) -> Database:
    """Return a database of every motion of a split, each under its first caption.

    The published databases come without the code that made them; one entry per motion is our reading.

    Args:
        dataset: the training split of the model that will search it.
        text_encoder: the model's own.
        max_frames: longer motions are cut.
        show_progress: show a bar.
    """
    captions = [item.captions[0].text for item in dataset.items]
    sentences = [
        text_encoder(captions[start : start + BATCH]).sentence.cpu()
        for start in progress(range(0, len(captions), BATCH), "embedding captions", show=show_progress)
    ]
    motions = [torch.from_numpy(dataset.features(item)[:max_frames].copy()) for item in dataset.items]
    lengths = torch.tensor([len(motion) for motion in motions])
    return Database(
        features=torch.cat(motions),
        starts=lengths.cumsum(0) - lengths,
        lengths=lengths,
        sentence=torch.cat(sentences),
        captions=captions,
        ids=[item.id for item in dataset.items],
        text_encoder=text_encoder.name,
    )
