"""Neighbours of a motion in the text-motion space: sentences that a clip could be mistaken for, and real motions."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from atm.alignment import AlignmentConfig
from atm.alignment.distances import pair_distances
from atm.apps.resources import device
from atm.apps.retrieve import Hit, Index, build_index
from atm.apps.studio.made import CLIP_SECONDS, Made
from atm.apps.take import Take
from atm.base.errors import InputError
from atm.data.humanml3d import open_dataset
from atm.meaning import Meaning, differs, parse_meaning
from atm.motion import Motion, padded
from atm.pages import MotionView, Pane, view_data
from atm.space import Space

DISTANCE = AlignmentConfig().distance
"""The distance of the losses."""
SENTENCES = (
    "a person stands still", "a person walks forward", "a person walks backwards", "a person walks in a circle",
    "a person walks to the left", "a person walks to the right", "a person runs forward", "a person runs in a circle",
    "a person jumps up", "a person jumps forward", "a person hops on the left leg", "a person hops on the right leg",
    "a person turns around to the left", "a person turns around to the right", "a person sits down",
    "a person stands up from a chair", "a person lies down", "a person gets up from the floor", "a person crouches",
    "a person kicks with the left leg", "a person kicks with the right leg", "a person punches with the left hand",
    "a person punches with the right hand", "a person waves with the left hand", "a person waves with the right hand",
    "a person raises the left arm", "a person raises the right arm", "a person raises both arms", "a person bows",
    "a person claps",
)  # fmt: skip
"""Sentences of every action that the packaged space knows, beside those of the studio's own motions."""


class Confused(NamedTuple):
    """A sentence, and how far a clip lies from it."""

    text: str
    distance: float
    """The losses' distance of clip and sentence: 0 is the same direction in the space, 2 the opposite one."""


def hard_negative(made: Made, time: float, others: Sequence[str], space: Space) -> dict[str, Any]:
    """Return which sentences that mean something else the clip around a time lies nearest to, and its own one.

    Args:
        made: a motion of the space's skeleton.
        time: seconds.
        others: sentences beside the packaged ones.
        space: frozen.

    Raises:
        InputError: a time that is not in the motion, or a motion that the space cannot read.
    """
    take = made.take
    if made.curve is None:
        raise InputError("the packaged space does not know the skeleton of this motion")
    if not 0 <= time <= take.seconds:
        raise InputError(f"the motion lasts {take.seconds:g} s, and {time:g} s is not in it")
    begin = float(np.clip(time - CLIP_SECONDS / 2, 0, max(0.0, take.seconds - CLIP_SECONDS)))
    clip = take[begin : begin + CLIP_SECONDS]
    told = next((one for one in made.parts if time < one.end), made.parts[-1])
    candidates = [text for text in dict.fromkeys([*others, *SENTENCES]) if means_otherwise(text, told.text)]
    nearest = _by_distance(clip, [told.text, *candidates], space)
    own = next(one for one in nearest if one.text == told.text)
    found = [one for one in nearest if one.text != told.text][:3]
    return {
        "begin": round(begin, 3),
        "end": round(begin + clip.seconds, 3),
        "own": own._asdict(),
        "others": [one._asdict() for one in found],
        "candidates": len(candidates),
    }


def means_otherwise(text: str, told: str) -> bool:
    """Return whether a sentence says something that is false of what was told, or of every action of it.

    Of "walks, then waves", "walks" is no mistake: it is a part.
    """
    other, own = parse_meaning(text), parse_meaning(told)
    if text.strip().lower() == told.strip().lower() or not other.events:
        return False
    return bool(differs(other, own)) and all(differs(other, Meaning((event,))) for event in own.events)


@torch.no_grad()
def _by_distance(clip: Take, text: list[str], space: Space) -> list[Confused]:
    motion = padded([clip.features])
    said = space.encode_text(text)
    far = pair_distances(space.encode_motion(motion.to(said.device)), said, DISTANCE)[0]
    return [Confused(text[row], round(float(far[row]), 4)) for row in far.argsort().tolist()]


class RealMotions:
    """Motions of a data folder, to be found by a generated one; read and embedded when it is first asked."""

    def __init__(self, data: Path, space: Space, weights: Path, split: str = "test"):
        """Open the folder.

        Raises:
            InputError: no data folder of the space's skeleton.
        """
        self.name = data.name
        self.dataset = open_dataset(data, split)
        width = len(space.normaliser.mean)
        if self.dataset.skeleton.feature_width != width:
            raise InputError(
                f"{data} has {self.dataset.skeleton.feature_width} features per frame, the studio's space {width}"
            )
        self._space, self._weights = space, weights
        self._lock = threading.Lock()
        self._index: Index | None = None

    def __len__(self) -> int:
        """Return the number of motions."""
        return len(self.dataset)

    @property
    def index(self) -> Index:
        """The motions in the space."""
        with self._lock:
            if self._index is None:
                self._index = build_index(
                    self._space, self._weights, self.dataset, device=device(), show_progress=False
                )
            return self._index

    def near(self, take: Take, top: int) -> list[dict[str, Any]]:
        """Return the real motions nearest to a motion: caption, cosine, seconds, and the viewer's data.

        Raises:
            InputError: a motion of another skeleton.
        """
        if take.skeleton != self.dataset.skeleton:
            raise InputError(
                f"{self.name} has motions of {self.dataset.skeleton.name}, this one is {take.skeleton.name}"
            )
        return [self._shown(hit) for hit in self.index.motions_near(take.features, top)]

    def _shown(self, hit: Hit) -> dict[str, Any]:
        features = torch.from_numpy(np.array(self.dataset.features(hit.item)))[None]
        joints = Motion(features, torch.tensor([hit.item.frames])).joints[0].numpy()
        view = view_data(MotionView("", [Pane("", joints, skeleton=self.dataset.skeleton)]))
        return {
            "id": hit.item.id, "text": hit.text, "cosine": round(hit.cosine, 4),
            "seconds": hit.item.frames / self.dataset.skeleton.fps, "bodies": view["bodies"], "pane": view["panes"][0],
        }  # fmt: skip
