"""The motions that ReMoDiffuse retrieves from: made from a data set, searched by text and length, kept in a file."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn import functional as F

from atm.base.errors import InputError
from atm.base.reading import check_archive
from atm.base.storage import as_safetensors, atomic

KIND = "retrieval database"
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Database:
    """N motions with a text each."""

    features: Float[Tensor, "F D"]
    """Frames of all motions, one behind the other."""
    starts: Int[Tensor, "N"]
    """First frame of each motion."""
    lengths: Int[Tensor, "N"]
    """Frames of each motion."""
    sentence: Float[Tensor, "N S"]
    """Sentence embedding of each text."""
    captions: list[str]
    """The texts; empty where `tokens` are given instead."""
    ids: list[str]
    """Which motion of the data set each is; empty where unknown."""
    text_encoder: str | None
    """Name of the text encoder of the sentence embeddings; None: unknown."""
    tokens: Float[Tensor, "N L W"] | None = None
    """Token states of the texts, as published files hold them; None: the captions are embedded when needed."""
    normalised: bool = False
    """True if the features are normalised by the model's statistics (published files), False if in published units."""

    def __len__(self) -> int:
        return len(self.lengths)

    def motion(self, row: int, frames: int) -> Float[Tensor, "T D"]:
        """Return one motion, cut or padded with zeros to `frames`."""
        start, length = int(self.starts[row]), min(int(self.lengths[row]), frames)
        return F.pad(self.features[start : start + length], (0, 0, 0, frames - length))


def similarities(
    database: Database, query: Float[Tensor, "B S"], lengths: Int[Tensor, "B"], *, length_penalty: float
) -> Float[Tensor, "B N"]:
    r"""Return how well each entry fits a text and a length.

    .. math:: s_i = \cos(q, q_i) \exp(-\lambda |L_i - L| / \max(L_i, L))

    Source: paper, eq. 4, with the published code's lambda of 0.1.
    """
    ours, theirs = lengths[:, None].float(), database.lengths[None].float()
    difference = (theirs - ours).abs() / torch.maximum(theirs, ours)
    cosine = F.normalize(query, dim=1) @ F.normalize(database.sentence, dim=1).T
    return cosine * torch.exp(-length_penalty * difference)


def best(
    scores: Float[Tensor, "B N"], count: int, skip: Bool[Tensor, "B N"] | None = None
) -> tuple[Int[Tensor, "B R"], Bool[Tensor, "B R"]]:
    """Return the `count` best entries of each row, and which of them there are: few may be left behind those to
    skip."""
    if skip is not None:
        scores = scores.masked_fill(skip, -torch.inf)
    scores = F.pad(scores, (0, max(count - scores.shape[1], 0)), value=-torch.inf)
    top, rows = scores.sort(dim=1, descending=True, stable=True)
    found = top[:, :count] > -torch.inf
    return rows[:, :count].masked_fill(~found, 0), found


def own_entries(database: Database, lengths: Int[Tensor, "B"], ids: list[str] | None) -> Bool[Tensor, "B N"]:
    """Return what a training row must not retrieve: entries of its own length, and the entry that it is.

    The first is the published rule, which keeps a motion from finding itself, and others with it. It does not where
    a crop is shorter than the motion that it was cut from; hence the second (ours).
    """
    skip = lengths[:, None] == database.lengths[None]
    if ids is not None and database.ids:
        place = {name: row for row, name in enumerate(database.ids)}
        for row, name in enumerate(ids):
            if name in place:
                skip[row, place[name]] = True
    return skip


def write_database(path: Path, database: Database) -> None:
    """Write a database that `build_database` made."""
    described = {
        "kind": KIND,
        "captions": database.captions,
        "ids": database.ids,
        "text_encoder": database.text_encoder,
        "normalised": database.normalised,
    }
    tensors = {
        "features": database.features,
        "starts": database.starts,
        "lengths": database.lengths,
        "sentence": database.sentence,
    }
    if database.tokens is not None:
        tensors["tokens"] = database.tokens
    payload = as_safetensors(tensors, {"atm": json.dumps(described)})
    with atomic(path) as part:
        part.write_bytes(payload)


def read_database(path: Path) -> Database:
    """Return a database of ours, or a published one (`t2m_text_train.npz`).

    Raises:
        InputError: no such file, a damaged one, or one of another kind.
    """
    return _read_published(path) if path.suffix == ".npz" else _read_own(path)


def _read_own(path: Path) -> Database:
    try:
        with safe_open(path, framework="pt") as file:
            described = json.loads((file.metadata() or {}).get("atm", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (OSError, SafetensorError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read the retrieval database {path}: {error}") from None
    if not isinstance(described, dict) or described.pop("kind", None) != KIND:
        raise InputError(f"{path} is no retrieval database: expected a file that `atm retrieval build` wrote")
    try:
        return Database(**tensors, **described)
    except TypeError as error:
        raise InputError(f"{path} is no retrieval database of this version: {error}") from None


def _read_published(path: Path) -> Database:
    try:
        check_archive(path)
        with np.load(path, allow_pickle=False) as arrays:
            # Captions are pickled in some files; with the token states they are not needed.
            names = ("motions", "m_lengths", "text_features", "clip_seq_features")
            motions, lengths, sentence, tokens = (torch.from_numpy(arrays[name]) for name in names)
    except Exception as error:  # a damaged file raises whatever zip, zlib or NumPy stumbles over first
        raise InputError(f"cannot read {path} as a published retrieval database: {error}") from None
    if motions.ndim != 3 or {len(lengths), len(sentence), len(tokens)} != {len(motions)}:
        raise InputError(f"cannot read {path} as a published retrieval database: its arrays do not fit together")
    entries, frames, width = motions.shape
    return Database(
        features=motions.reshape(-1, width).float(),
        starts=torch.arange(entries) * frames,
        lengths=lengths.long().clamp(max=frames),
        sentence=sentence.float(),
        captions=[],
        ids=[],
        text_encoder=None,
        tokens=tokens.float(),
        normalised=True,
    )
