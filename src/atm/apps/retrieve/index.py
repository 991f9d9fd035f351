"""A data set in a space, ready to be searched. What was embedded once is kept in the cache folder.

Embeddings are kept in pieces, each named by the space's weights and by what was embedded: a data set that grows or
changes costs its changes, and an embedding that was stopped goes on where it was.
"""

import hashlib
import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from atm.base.cache import cache_folder
from atm.base.errors import InputError
from atm.base.progress import progress
from atm.base.seal import is_sound, sealed
from atm.data.humanml3d import Item, MotionDataset
from atm.interface import TextMotionSpace
from atm.motion import padded

PIECE = 256
"""Rows that are embedded and kept together."""
AT_ONCE = 64


@dataclass(frozen=True)
class Hit:
    """Something that was found."""

    item: Item
    """The motion that was found, or the motion of the caption that was found."""
    text: str
    """The caption that was found, or the found motion's caption that is nearest to the query."""
    cosine: float
    """Cosine of query and result, -1 to 1."""


@dataclass(frozen=True)
class Index:
    """A split of a data set in a space."""

    space: TextMotionSpace
    dataset: MotionDataset
    z_motion: Float[Tensor, "N E"]
    """Unit vectors, one for each item of the data set."""
    captions: list[tuple[str, Item]]
    """Every caption with its entry; each pair once."""
    z_text: Float[Tensor, "C E"]
    """Unit vectors, one for each of these."""
    device: torch.device | str = "cpu"
    """Device of the space; the vectors are on the CPU."""

    @torch.no_grad()
    def motions_like(self, text: str, top: int) -> list[Hit]:
        """Return the motions nearest to a sentence, best first; of equal ones in the data set's order.

        Entries of the same frames, which differ in their captions alone, are one motion here.
        """
        query = F.normalize(self.space.encode_text([text]).float().cpu(), dim=-1)[0]
        nearest: dict[tuple[int, int], tuple[float, str]] = {}
        for (caption, item), cosine in zip(self.captions, (self.z_text @ query).tolist(), strict=True):
            frames = item.start, item.frames
            nearest[frames] = max(nearest.get(frames, (-2.0, "")), (cosine, caption))
        best = self._nearest_motions(query, top)
        return [Hit(item, nearest[item.start, item.frames][1], cosine) for item, cosine in best]

    @torch.no_grad()
    def motions_near(self, features: Float[np.ndarray, "T D"], top: int) -> list[Hit]:
        """Return the motions nearest to a motion, best first, each with its own first caption; entries of the same
        frames are one.

        Raises:
            InputError: features of another width than the space reads.
        """
        best = self._nearest_motions(self._embedded(features), top)
        return [Hit(item, item.captions[0].text, cosine) for item, cosine in best]

    def _nearest_motions(self, query: Float[Tensor, "E"], top: int) -> list[tuple[Item, float]]:
        first = {(item.start, item.frames): row for row, item in reversed(list(enumerate(self.dataset.items)))}
        rows = sorted(first.values())
        cosines = self.z_motion[rows] @ query
        return [(self.dataset.items[rows[place]], cosines[place].item()) for place in _best(cosines, top)]

    def _embedded(self, features: Float[np.ndarray, "T D"]) -> Float[Tensor, "E"]:
        return F.normalize(self.space.encode_motion(padded([features]).to(self.device)).float().cpu(), dim=-1)[0]

    @torch.no_grad()
    def captions_like(self, features: Float[np.ndarray, "T D"], top: int) -> list[Hit]:
        """Return the captions nearest to a motion, best first, each sentence once.

        Raises:
            InputError: features of another width than the space reads.
        """
        cosines = self.z_text @ self._embedded(features)
        found: dict[str, Hit] = {}
        for row in _best(cosines, len(cosines)):
            caption, item = self.captions[row]
            found.setdefault(caption, Hit(item, caption, cosines[row].item()))
            if len(found) == top:
                break
        return list(found.values())


def build_index(
    space: TextMotionSpace,
    weights: Path,
    dataset: MotionDataset,
    *,
    device: torch.device | str = "cpu",
    show_progress: bool = True,
) -> Index:
    """Return the data set in the space, from the cache folder as far as it is there.

    Args:
        space: in evaluation mode.
        weights: its file; what tells its embeddings from another space's.
        dataset: what shall be searched.
        device: where the space is.
        show_progress: a bar, where something must be embedded.
    """
    of_space = hashlib.sha256(weights.read_bytes()).digest()

    def embed_motions(items: Sequence[Item]) -> Tensor:
        return space.encode_motion(padded([dataset.features(item) for item in items]).to(device))

    def embed_captions(pairs: Sequence[tuple[str, Item]]) -> Tensor:
        return space.encode_text([caption for caption, _ in pairs])

    def motion_key(items: Sequence[Item]) -> bytes:
        content = hashlib.sha256()
        for item in items:
            content.update(np.ascontiguousarray(dataset.features(item)))
        return content.digest() + json.dumps([item.frames for item in items]).encode()

    def caption_key(pairs: Sequence[tuple[str, Item]]) -> bytes:
        return json.dumps([caption for caption, _ in pairs]).encode()

    captions = [
        (text, item) for item in dataset.items for text in dict.fromkeys(caption.text for caption in item.captions)
    ]
    z_motion = _embedded(dataset.items, embed_motions, motion_key, of_space, "embedding motions", show_progress)
    z_text = _embedded(captions, embed_captions, caption_key, of_space, "embedding captions", show_progress)
    return Index(space, dataset, z_motion, captions, z_text, device)


@torch.no_grad()
def _embedded(
    rows: Sequence,
    embed: Callable[[Sequence], Tensor],
    key_of: Callable[[Sequence], bytes],
    of_space: bytes,
    what: str,
    show_progress: bool,
) -> Float[Tensor, "N E"]:
    """Return unit vectors of all rows, piece by piece, read where they are kept and else embedded and kept."""
    pieces = [rows[start : start + PIECE] for start in range(0, len(rows), PIECE)]
    files = [
        cache_folder() / "retrieval" / f"{hashlib.sha256(of_space + key_of(piece)).hexdigest()[:24]}.npy"
        for piece in pieces
    ]
    done = [_read(file, len(piece)) for file, piece in zip(files, pieces, strict=True)]
    missing = [place for place, part in enumerate(done) if part is None]
    for place in progress(missing, what, show=show_progress and bool(missing)):
        piece = pieces[place]
        parts = [embed(piece[start : start + AT_ONCE]) for start in range(0, len(piece), AT_ONCE)]
        done[place] = F.normalize(torch.cat(parts).float(), dim=-1).cpu()
        _keep(files[place], done[place])
    return torch.cat(done)


def _read(file: Path, rows: int) -> Float[Tensor, "N E"] | None:
    """Return a kept piece; None: there is none, or a damaged one."""
    if not is_sound(file):
        return None
    try:
        kept = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return torch.from_numpy(kept) if kept.ndim == 2 and len(kept) == rows else None


def _keep(file: Path, embedded: Float[Tensor, "N E"]) -> None:
    """Keep the vectors in a file; a folder that cannot be written to costs a warning, not the search."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with sealed(file) as part:
            np.save(part, embedded.numpy())
    except (OSError, InputError) as error:
        warnings.warn(f"cannot keep embeddings in {file.parent}: {error}", stacklevel=2)


def _best(cosines: Float[Tensor, "N"], top: int) -> list[int]:
    return cosines.argsort(descending=True, stable=True)[:top].tolist()
