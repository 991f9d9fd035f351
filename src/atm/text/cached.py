"""Embeddings of a caption set: computed once, kept on disk in half precision, looked up in memory."""

import contextlib
import hashlib
import json
import os
import warnings
from collections import ChainMap
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atm.base.errors import InputError
from atm.base.lease import held
from atm.base.progress import progress_bar
from atm.base.seal import is_sound, seal_of, sealed
from atm.interface import TextEmbedding, TextEncoder
from atm.text.encoders import check_prompts, embed_nothing

_BATCH = 64
_PART = 64 * _BATCH
"""Captions that are kept at a time while more are computed."""
_AT_ONCE_ON_CPU = 16
"""Captions that are not kept are encoded as many at a time, those of like length together: on a CPU padding costs as
much as words do."""


class _Kept(NamedTuple):
    """Output of the encoder for one caption."""

    rows: Float[Tensor, "L W"]
    length: int
    sentence: Float[Tensor, "S"]


def default_cache() -> Path:
    """Return `$ATM_CACHE/text`, or `~/.cache/atm/text`."""
    return Path(os.environ.get("ATM_CACHE") or Path.home() / ".cache" / "atm") / "text"


class CachedTextEncoder:
    """A `TextEncoder` that answers from memory for the captions it was prepared for, and asks the real one otherwise.

    On disk: one safetensors file per encoder, encoder version and caption set, with the rows behind a caption's end
    only where the encoder says something there (`padded`). Another set takes what it shares with those that are there,
    and so does a run that was stopped while it computed. Files that cannot be read are made again; a folder that cannot
    be written to costs a warning, not the run.
    """

    def __init__(
        self,
        encoder: TextEncoder,
        cache_dir: Path | str | None = None,
        *,
        device: torch.device | str | None = None,
    ):
        """Wrap an encoder, and keep its answers on disk.

        Args:
            encoder: answers for captions not seen before; its `version`, where it has one, is part of the key.
            cache_dir: default `default_cache()`.
            device: where embeddings are returned; None: the encoder's, or the CPU for an encoder that names none.
        """
        self.name = encoder.name
        self.token_width = encoder.token_width
        self.sentence_width = encoder.sentence_width
        self.padded = getattr(encoder, "padded", False)
        self.device = torch.device(getattr(encoder, "device", "cpu") if device is None else device)
        self._encoder = encoder
        self._folder = (
            Path(cache_dir or default_cache()) / f"{encoder.name}-{getattr(encoder, 'version', 'unversioned')}"
        )
        self._known: dict[str, _Kept] = {}
        self._nothing: TextEmbedding | None = None

    def __call__(self, text: list[str]) -> TextEmbedding:
        """Return embeddings of B captions, padded to the longest.

        Raises:
            InputError: no caption, or one of them is blank.
        """
        check_prompts(text)
        known = ChainMap(self._known, self._fresh([caption for caption in set(text) if caption not in self._known]))
        own = [known[caption] for caption in text]
        tokens = torch.zeros(len(own), max(len(kept.rows) for kept in own), self.token_width, dtype=torch.float16)
        for i, kept in enumerate(own):
            tokens[i, : len(kept.rows)] = kept.rows
        mask = torch.arange(tokens.shape[1])[None, :] < torch.tensor([kept.length for kept in own])[:, None]
        sentence = torch.stack([kept.sentence for kept in own])
        return TextEmbedding(
            tokens.to(self.device).float(), mask.to(self.device), sentence.to(self.device, torch.float32)
        )

    def embed_nothing(self) -> TextEmbedding:
        """Return the embedding of one empty string; the encoder is asked once."""
        if self._nothing is None:
            self._nothing = TextEmbedding(*(part.to(self.device) for part in embed_nothing(self._encoder)))
        return self._nothing

    def prepare(self, captions: list[str], progress: bool = True) -> None:
        """Get these captions into memory: from disk where this set was prepared before, else computed and stored.

        Args:
            captions: may repeat; their order does not matter.
            progress: show a bar while computing.

        Raises:
            InputError: one of them is blank.
        """
        wanted = sorted(set(captions))
        if all(caption in self._known for caption in wanted):
            return
        check_prompts(wanted)
        path = self._folder / f"{_digest(wanted)}.safetensors"
        if self._read(path, wanted):
            return
        with self._alone():
            if not self._read(path, wanted):  # whoever was before may have computed it
                self._compute_and_keep(path, wanted, progress)

    def _compute_and_keep(self, path: Path, wanted: list[str], progress: bool) -> None:
        self._borrow(wanted)
        self._compute([caption for caption in wanted if caption not in self._known], show=progress)
        self._write(path, wanted)
        # Read back, so that what stays in memory is one compact block and not thousands of pieces.
        if self._read(path, wanted):
            self._forget_parts(set(wanted))

    def _alone(self) -> AbstractContextManager[None]:
        """Let one process at a time compute what is kept; the others wait, and then find it. A folder that cannot be
        written to keeps nothing."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            return contextlib.nullcontext()
        if not os.access(self._folder, os.W_OK):
            return contextlib.nullcontext()
        return held(self._folder, "the cache", wait=True)

    def _borrow(self, wanted: list[str]) -> None:
        """Take what other sets have of these captions."""
        missing = {caption for caption in wanted if caption not in self._known}
        for file in sorted(self._folder.glob("*.safetensors")):
            theirs = _captions_of(file)
            if not missing.isdisjoint(theirs) and self._read(file, theirs):
                missing.difference_update(theirs)

    def _compute(self, captions: list[str], *, show: bool) -> None:
        """Ask the encoder, captions of like length together, and keep every few thousand: it may take minutes."""
        captions = sorted(captions, key=len)
        with progress_bar(show=show and bool(captions)) as bar:
            task = bar.add_task(f"embedding captions with {self.name}", total=len(captions), note="")
            for first in range(0, len(captions), _PART):
                part = captions[first : first + _PART]
                for start in range(0, len(part), _BATCH):
                    batch = part[start : start + _BATCH]
                    self._known |= self._encode(batch)
                    bar.advance(task, len(batch))
                if len(part) < len(captions):
                    self._write(self._folder / f"part-{_digest(sorted(part))}.safetensors", sorted(part))

    def _forget_parts(self, complete: set[str]) -> None:
        for file in self._folder.glob("part-*.safetensors"):
            if complete.issuperset(_captions_of(file)):
                with contextlib.suppress(OSError):
                    file.unlink()
                    seal_of(file).unlink(missing_ok=True)

    def _fresh(self, captions: list[str]) -> dict[str, _Kept]:
        """Return captions that were not prepared, and that are not kept: they may be many, such as drawn variations."""
        captions = sorted(captions, key=lambda caption: (len(caption), caption))
        size = _AT_ONCE_ON_CPU if torch.device(getattr(self._encoder, "device", "cpu")).type == "cpu" else _BATCH
        found = {}
        for start in range(0, len(captions), size):
            found |= self._encode(captions[start : start + size])
        return found

    def _encode(self, captions: list[str]) -> dict[str, _Kept]:
        embedding = self._encoder(captions)
        lengths = embedding.mask.sum(1).tolist()
        tokens, sentences = embedding.tokens.half().cpu(), embedding.sentence.float().cpu()
        ends = [tokens.shape[1]] * len(captions) if self.padded else lengths
        return {
            caption: _Kept(tokens[i, : ends[i]].clone(), lengths[i], sentences[i]) for i, caption in enumerate(captions)
        }

    def _read(self, path: Path, captions: list[str]) -> bool:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        if not is_sound(path):
            return False
        try:
            stored = load_file(path)
            tokens, ends = stored["tokens"], stored["ends"]
            lengths, sentences = stored["lengths"], stored["sentences"]
        except (OSError, SafetensorError, KeyError):
            return False
        if lengths.shape != ends.shape or not self._fits(tokens, ends, sentences, len(captions)):
            return False
        # Views: the captions share one block of memory, which the system reads from disk as it is needed.
        rows = torch.tensor_split(tokens, ends[:-1])
        self._known.update(zip(captions, map(_Kept, rows, lengths.tolist(), sentences), strict=True))
        return True

    def _fits(self, tokens: Tensor, ends: Int[Tensor, "N"], sentences: Tensor, count: int) -> bool:
        return (
            ends.shape == (count,)
            and tokens.shape == (int(ends[-1]), self.token_width)
            and sentences.shape == (count, self.sentence_width)
        )

    def _write(self, path: Path, captions: list[str]) -> None:
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        kept = [self._known[caption] for caption in captions]
        content = {
            "tokens": torch.cat([one.rows for one in kept]),
            "ends": torch.tensor([len(one.rows) for one in kept]).cumsum(0),
            "lengths": torch.tensor([one.length for one in kept]),
            "sentences": torch.stack([one.sentence for one in kept]),
        }
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with sealed(path) as part:
                save_file(content, part, {"captions": json.dumps(captions)})
        except (OSError, SafetensorError, InputError) as error:
            warnings.warn(f"cannot keep text embeddings in {path.parent}: {error}", stacklevel=3)


def _digest(captions: list[str]) -> str:
    return hashlib.sha256(json.dumps(captions).encode()).hexdigest()[:20]


def _captions_of(file: Path) -> list[str]:
    """Return the captions of a file, in its order; none where it cannot be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as stored:
            return json.loads((stored.metadata() or {}).get("captions", "[]"))
    except (OSError, SafetensorError, ValueError):
        return []
