"""Folders of `save_pretrained`: the files of a model with their SHA-256, and such folders on a model hub."""

import hashlib
import json
import re
from pathlib import Path

from atm.base.errors import InputError

CONFIG_FILE, MANIFEST_FILE, CARD_FILE = "config.json", "manifest.json", "README.md"
HUB = "hf://"
_ON_HUB = re.compile(r"hf:/+(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
"""`hf://OWNER/NAME`, `hf://OWNER/NAME@REVISION`; a `Path` leaves one slash of two."""


def write_manifest(folder: Path, names: list[str]) -> None:
    """Write the SHA-256 of these files of a folder beside them."""
    digests = {name: _sha256(folder / name) for name in names}
    (folder / MANIFEST_FILE).write_text(json.dumps(digests, indent=2) + "\n")


def check_manifest(folder: Path, *, needed: str) -> None:
    """Hold the files of a folder against its manifest.

    Args:
        folder: of `save_pretrained`.
        needed: file that the manifest must name.

    Raises:
        InputError: no manifest, a file that is missing, or one that is not what the manifest says.
    """
    try:
        digests = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
        if not isinstance(digests, dict) or needed not in digests:
            raise ValueError(f"its {MANIFEST_FILE} does not name {needed}")
        if foreign := [name for name in digests if Path(name).name != name]:
            raise ValueError(f"its {MANIFEST_FILE} names {foreign[0]!r}, which is no file of the folder")
        broken = [name for name, digest in digests.items() if _sha256(folder / name) != digest]
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} is no folder of save_pretrained: {error}") from None
    if broken:
        raise InputError(f"{folder / broken[0]} is not what {MANIFEST_FILE} says: copy the folder again")


def on_hub(path: str | Path) -> bool:
    """Return whether a path names a model on a hub."""
    return str(path).startswith("hf:/")


def downloaded(path: str | Path) -> Path:
    """Return the folder of a model on the hub, downloaded into the hub's cache where it is not there yet.

    Args:
        path: `hf://OWNER/NAME`, or `hf://OWNER/NAME@REVISION`.

    Raises:
        InputError: another form, no `huggingface_hub`, no such model, or no connection.
    """
    named = _ON_HUB.fullmatch(str(path))
    if named is None:
        given = re.sub("^hf:/+", HUB, str(path))
        raise InputError(f"a model on the hub is hf://OWNER/NAME or hf://OWNER/NAME@REVISION, got {given!r}")
    try:
        from huggingface_hub import snapshot_download
    except ModuleNotFoundError:
        raise InputError(f"{HUB}{named['repo']} needs huggingface_hub: pip install huggingface_hub") from None
    files = ["*.safetensors", "*.json", CARD_FILE]
    try:
        return Path(snapshot_download(named["repo"], revision=named["revision"], allow_patterns=files))
    except (OSError, ValueError) as error:
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"{HUB}{named['repo']} cannot be had from the hub: {said.rstrip('.')}; check the name and the connection, "
            "or give a folder"
        ) from None


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
