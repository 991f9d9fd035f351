"""The HTML motion viewer: figures in panes that share one time line and one camera, as a fragment of a page.

A fragment holds data only; `atm.pages.page` puts the script and the style on the page, once.
"""

import base64
import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from atm.base.errors import unknown
from atm.export.body import FACE, NOSE_LENGTH, NOSE_OUT, NOSE_RADIUS, NOSE_UP, SIDE_COLOURS, body_of, joint_index
from atm.export.npz import check_joints
from atm.motion import HUMANML3D, Skeleton

COLOURS = {
    "sides": None,
    "blue": "#3f78c3",
    "red": "#cc4f48",
    "green": "#4a9a66",
    "orange": "#dd7a3c",
    "purple": "#7d62bd",
    "teal": "#2f8f90",
    "grey": "#8d9096",
}
"""Names for a figure's colour. `sides`: left limbs warm, right limbs cool; else one colour, lighter on the left."""

HIGHLIGHT_COLOUR = "#f0b429"


class Highlight(NamedTuple):
    """A span of frames to be seen: the figure, its trail and the time line take the colour."""

    start: int
    """First frame."""
    end: int
    """Frame after the last."""
    label: str = ""
    colour: str = HIGHLIGHT_COLOUR
    """As #rrggbb."""


@dataclass(frozen=True)
class Pane:
    """One motion of a view."""

    label: str
    joints: Float[np.ndarray, "T J 3"]
    """In metres, y up."""
    colour: str = "sides"
    """A name of `COLOURS` or #rrggbb."""
    highlights: Sequence[Highlight | tuple[int, int]] = ()
    caption: str = ""
    skeleton: Skeleton = HUMANML3D
    contacts: Bool[np.ndarray, "T 2"] | None = None
    """True while the left and the right foot stand; None: the viewer does not offer to show it."""
    begins: float = 0.0
    """Seconds of the view at which the motion begins, >= 0; until then it stands in its first frame. So that clips
    from different times of their motions play together."""


@dataclass(frozen=True)
class MotionView:
    """Motions to be seen together: side by side, or all in one scene."""

    title: str
    panes: Sequence[Pane]
    overlaid: bool = False
    columns: int = 4
    """Most panes beside one another."""
    autoplay: bool = True
    """Play as soon as the view is on screen (never for a reader who asked for reduced motion)."""
    start: float = 0.0
    """Seconds at which the view opens."""
    darkens: bool = False
    """A figure starts light and darkens to its own colour over its motion, or over its highlight where it has one."""


def viewer_html(view: MotionView) -> str:
    """Return the fragment of a page that becomes the viewer; errors as of `view_data`."""
    # A sentence may hold "</script>" or "<!--", which would end or swallow the element; JSON can spell "<" otherwise.
    content = json.dumps(view_data(view), separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    label = html.escape(view.title or "motion", quote=True)
    return (
        f'<figure class="motion-view" role="group" aria-label="{label}">'
        f'<script type="application/json">{content}</script>'
        f'<noscript class="mv-noscript">{label}: this moving picture needs JavaScript.</noscript></figure>'
    )


def view_data(view: MotionView) -> dict[str, Any]:
    """Return what the viewer's script reads, as plain JSON values.

    Raises:
        InputError: a motion that is not finite or not of its skeleton, or an unknown colour name.
        ValueError: no pane, a highlight that is no span of frames, or a motion that begins before 0.
    """
    if not view.panes:
        raise ValueError("a motion view needs at least 1 pane, got none")
    skeletons = list(dict.fromkeys(pane.skeleton for pane in view.panes))
    return {
        "title": view.title,
        "overlaid": view.overlaid,
        "columns": view.columns,
        "autoplay": view.autoplay,
        "start": view.start,
        "darkens": view.darkens,
        "bodies": [_body_data(skeleton) for skeleton in skeletons],
        "panes": [_pane_data(pane, skeletons.index(pane.skeleton)) for pane in view.panes],
    }


def _pane_data(pane: Pane, body: int) -> dict:
    check_joints(pane.joints, pane.skeleton, pane.label or "motion")
    if pane.begins < 0:
        raise ValueError(f"{pane.label!r} must begin at 0 s or later, got {pane.begins:g}")
    colours = side_colours(pane.colour)
    metres, packed = _quantised(pane.joints)
    return {
        "label": pane.label,
        "caption": pane.caption,
        "fps": pane.skeleton.fps,
        "begins": pane.begins,
        "body": body,
        "colours": colours,
        "one_colour": None if pane.colour == "sides" else colours["middle"],
        "highlights": [_checked(Highlight(*span), pane) for span in pane.highlights],
        "contacts": None if pane.contacts is None else [_bits(foot) for foot in pane.contacts.T],
        "metres": metres,
        "joints": packed,
    }


def _quantised(joints: np.ndarray) -> tuple[float, str]:
    """Return whole numbers of 16 bits, in millimetres, or in a coarser unit if the motion leaves a field of 65
    metres."""
    metres = max(0.001, float(np.abs(joints).max()) / 32767)
    return metres, base64.b64encode(np.round(joints / metres).astype("<i2").tobytes()).decode("ascii")


def _bits(stands: Bool[np.ndarray, "T"]) -> str:
    return "".join(str(int(frame)) for frame in stands)


def _checked(span: Highlight, pane: Pane) -> Highlight:
    if not 0 <= span.start < span.end <= len(pane.joints):
        raise ValueError(
            f"highlight {span.start}:{span.end} is no span of the {len(pane.joints)} frames of {pane.label!r}"
        )
    return span


def _body_data(skeleton: Skeleton) -> dict:
    """Return capsules as [side, a, b, radius a, radius b, across a, across b]; places as [[joint, weight], ...]."""
    body = body_of(skeleton)
    capsules = [
        [side, *map(_sparse, ends), *map(float, radii), *map(_sparse, across)]
        for side, ends, radii, across in zip(body.sides, body.ends, body.radii, body.across, strict=True)
    ]
    nose = {"up": NOSE_UP, "out": NOSE_OUT, "length": NOSE_LENGTH, "radius": NOSE_RADIUS}
    face = [joint_index(skeleton, joint) for joint in FACE]
    feet = [list(skeleton.left_foot), list(skeleton.right_foot)]
    return {"joints": skeleton.n_joints, "capsules": capsules, "face": face, "nose": nose, "feet": feet}


def _sparse(weights: np.ndarray) -> list[list[float]]:
    return [[int(joint), round(float(weights[joint]), 4)] for joint in np.flatnonzero(weights)]


def side_colours(colour: str) -> dict[str, str]:
    """Return colours of left limbs, right limbs and the rest, for a name of `COLOURS` or #rrggbb.

    Raises:
        InputError: neither.
    """
    if colour == "sides":
        return SIDE_COLOURS
    if not re.fullmatch("#[0-9a-fA-F]{6}", colour):
        if colour not in COLOURS:
            raise unknown("colour", colour, COLOURS)
        colour = COLOURS[colour]
    return {"left": _mixed(colour, 255, 0.38), "right": _mixed(colour, 0, 0.26), "middle": colour}


def _mixed(colour: str, towards: int, share: float) -> str:
    channels = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return "#" + "".join(f"{round(channel + (towards - channel) * share):02x}" for channel in channels)
