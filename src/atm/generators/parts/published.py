"""What reading a published checkpoint ends with, for every generator."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from torch import Tensor, nn

from atm.base.config import Config
from atm.base.storage import load_state
from atm.interface import TextEncoder
from atm.motion.layers import Normaliser
from atm.published import check_statistics, statistics_of
from atm.text import DeferredTextEncoder

Model = TypeVar("Model", bound=nn.Module)


def with_weights(
    build: Callable[[Config, TextEncoder, Normaliser], Model],
    config: Config,
    state: dict[str, Tensor],
    normaliser: Normaliser | None,
    text_encoder: TextEncoder | None,
    *,
    path: Path,
    features: int | None,
    files: str,
    said: str = "",
) -> Model:
    """Return a generator with published weights, in evaluation mode.

    Args:
        build: the generator's class.
        config: that the checkpoint describes.
        state: its weights under our keys, without statistics.
        normaliser: given, or found beside the weights; None: neither.
        text_encoder: None loads, when it is first needed, the one that the config names.
        path: of the checkpoint, for messages.
        features: numbers per frame that the weights take; None: their keys do not tell.
        files: which statistics to ask for where there are none.
        said: put behind the path where keys are named.

    Raises:
        InputError: no statistics, those of another data set, or keys that are missing, unknown or of another shape.
    """
    normaliser = check_statistics(normaliser, features, path, files=files)
    model = build(config, text_encoder or DeferredTextEncoder(config.text_encoder), normaliser)
    load_state(model, state | statistics_of(normaliser), source=f"{path}{said}")
    return model.eval()
