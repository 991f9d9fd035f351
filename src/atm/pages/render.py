"""Pictures of a motion: capsule figures on a floor, drawn with Pillow at twice the size and scaled down."""

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from atm.export.body import FACE, NOSE_LENGTH, NOSE_OUT, NOSE_RADIUS, NOSE_UP, body_of, joint_index
from atm.export.npz import check_joints
from atm.motion import HUMANML3D, Skeleton
from atm.pages.camera import Camera, camera_around
from atm.pages.viewer import side_colours

BACKGROUND, GROUND_LINE, INK, MUTED = "#f6f3ec", "#d6cfbf", "#2a2723", "#756e63"
SUN = np.array([0.42, 1.0, 0.34])
"""Direction to the light: shadows fall the other way."""
SHADOW_STRENGTH = 58
"""Of 255."""
BELOW_JOINTS = 0.026
"""Metres from the lowest joint to the floor: a foot has a sole."""
SUPERSAMPLING = 2
ROUND = 10
"""Corners of each round end of a capsule."""


def render_frames(
    joints: Float[np.ndarray, "T J 3"],
    *,
    skeleton: Skeleton = HUMANML3D,
    width: int = 480,
    height: int = 480,
    colour: str = "sides",
    text: str = "",
    trail: bool = True,
) -> Iterator[Image.Image]:
    """Give one picture per frame; the camera stands still and has the whole motion in view.

    Args:
        joints: in metres, y up.
        width: of a picture, in pixels, like `height`.
        colour: a name of `atm.export.COLOURS` or #rrggbb.
        text: a sentence to be set above.
        trail: draw the root's path on the floor up to each frame.

    Raises:
        InputError: a motion that is not finite or not of this skeleton, or an unknown colour.
    """
    check_joints(joints, skeleton, "motion")
    joints = np.asarray(joints, dtype=np.float64)
    big = (width * SUPERSAMPLING, height * SUPERSAMPLING)
    figure = Figure(joints, skeleton, side_colours(colour))
    camera = camera_around(np.concatenate([figure.extent, _on_floor(figure.extent, figure.floor)]), *big)
    ground = _ground(camera, figure)
    path = camera.project(_on_floor(joints[:, 0], figure.floor)).xy
    trail_colour = mix(figure.colours["middle"], INK, 0.35)
    shadows, shapes = figure.shadows(camera), figure.shapes(camera)
    for frame in range(len(joints)):
        picture = ground.copy()
        paste_shadow(picture, shadows[frame])
        draw = ImageDraw.Draw(picture)
        if trail and frame:
            draw.line([tuple(p) for p in path[: frame + 1]], fill=trail_colour, width=3 * SUPERSAMPLING, joint="curve")
        draw_figure(draw, figure, shapes, frame, figure.colours)
        picture = picture.reduce(SUPERSAMPLING)
        if text:
            write_sentence(picture, text)
        yield picture


class Figure:
    """A motion as capsules in space, and what a camera makes of them."""

    def __init__(self, joints: np.ndarray, skeleton: Skeleton, colours: dict[str, str], *, lowest: float | None = None):
        """`lowest`: height of the lowest joint of all, where `joints` are a part of a motion."""
        body = body_of(skeleton).plain()
        ends, radii = body.place(joints), np.broadcast_to(body.radii, (len(joints), *body.radii.shape))
        nose_ends, nose_radii = _nose(joints, skeleton)
        self.ends = np.concatenate([ends, nose_ends], axis=1)  # (T, K, 2, 3)
        self.radii = np.concatenate([radii, nose_radii], axis=1)  # (T, K, 2)
        groups = np.array([*body.groups, max(body.groups) + 1])
        self.members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
        self.sides = [[*body.sides, "middle"][members[0]] for members in self.members]
        self.colours = colours
        self.floor = (float(joints[..., 1].min()) if lowest is None else lowest) - BELOW_JOINTS

    @property
    def extent(self) -> np.ndarray:
        """Points that have the whole figure between them, at all times."""
        thick = self.radii[..., None]
        return np.concatenate([self.ends - thick, self.ends + thick]).reshape(-1, 3)

    def shapes(self, camera: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return nearness of each group (T, G), outlines and lit parts (T, K, 2 ROUND, 2) of all capsules."""
        xy, scale = camera.project(self.ends)
        radii = self.radii * scale
        light = camera.axes[:2] @ (SUN / np.linalg.norm(SUN)) * [1, -1]
        outer = _outlines(xy, radii)
        inner = _outlines(xy + 0.3 * radii[..., None] * light, 0.66 * radii)
        nearness = np.stack([scale[:, members].mean((1, 2)) for members in self.members], axis=1)
        return nearness, outer, inner

    def shadows(self, camera: Camera) -> np.ndarray:
        """Return outlines on the floor (T, K, 2 ROUND, 2), as the camera sees them."""
        xy, scale = camera.project(_on_floor(self.ends, self.floor, along=SUN))
        return _outlines(xy, self.radii * scale)


def _nose(joints: np.ndarray, skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    left, right, chest, head = (joints[:, joint_index(skeleton, joint)] for joint in FACE)
    up = _unit(head - chest)
    forward = _unit(np.cross(left - right, up))
    root = head + up * NOSE_UP + forward * NOSE_OUT
    tip = root + (forward - 0.5 * up) * NOSE_LENGTH
    radii = np.broadcast_to([NOSE_RADIUS, 0.8 * NOSE_RADIUS], (len(joints), 1, 2))
    return np.stack([root, tip], axis=1)[:, None], radii


def _outlines(xy: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Return around two circles (..., 2, 2) of these radii (..., 2): a polygon of ROUND corners at each end."""
    along = xy[..., 1, :] - xy[..., 0, :]
    angle = np.arctan2(along[..., 1], along[..., 0])[..., None]
    half = np.linspace(-np.pi / 2, np.pi / 2, ROUND)
    corners = []
    for end, turn in ((0, np.pi), (1, 0.0)):
        around = angle + turn + half
        circle = np.stack([np.cos(around), np.sin(around)], axis=-1)
        corners.append(xy[..., end, None, :] + circle * radii[..., end, None, None])
    return np.concatenate(corners, axis=-2)


def draw_figure(
    draw: ImageDraw.ImageDraw,
    figure: Figure,
    shapes: tuple[np.ndarray, np.ndarray, np.ndarray],
    frame: int,
    colours: dict[str, str],
    offset: np.ndarray | float = 0.0,
) -> None:
    """One pose, from what `Figure.shapes` gave."""
    for outline, paint in painted(figure, shapes, frame, colours):
        draw.polygon((outline + offset).ravel().tolist(), fill=paint)


def painted(
    figure: Figure, shapes: tuple[np.ndarray, np.ndarray, np.ndarray], frame: int, colours: dict[str, str]
) -> Iterator[tuple[Float[np.ndarray, "_ 2"], str]]:
    """Give outlines of one pose with their colours: the groups of capsules from far to near, each with a lit part."""
    nearness, outer, inner = (part[frame] for part in shapes)
    shades = {side: mix(colour, "#000000", 0.2) for side, colour in colours.items()}
    for group in np.argsort(nearness):
        side, members = figure.sides[group], figure.members[group]
        for outlines, paint in ((outer, shades[side]), (inner, colours[side])):
            for k in members:
                yield outlines[k], paint


def paste_shadow(picture: Image.Image, outlines: np.ndarray) -> None:
    """Darkens the picture where the outlines are, softly."""
    coarse, soft = 4, 3
    margin = coarse * soft * 3
    points = outlines.reshape(-1, 2)
    left, upper = np.maximum(points.min(0) - margin, 0).astype(int) // coarse
    right, lower = -(-np.minimum(points.max(0) + margin, picture.size).astype(int) // coarse)
    if right <= left or lower <= upper:
        return
    mask = Image.new("L", (int(right - left), int(lower - upper)))
    draw = ImageDraw.Draw(mask)
    for outline in outlines:
        draw.polygon((outline / coarse - [left, upper]).ravel().tolist(), fill=SHADOW_STRENGTH)
    mask = mask.filter(ImageFilter.GaussianBlur(soft))
    mask = mask.resize((mask.width * coarse, mask.height * coarse), Image.Resampling.BILINEAR)
    picture.paste("#2a2418", (int(left) * coarse, int(upper) * coarse), mask)


def _ground(camera: Camera, figure: Figure) -> Image.Image:
    """Return background with a grid of half a metre that fades away from the motion."""
    picture = Image.new("RGB", (camera.width, camera.height), BACKGROUND)
    draw = ImageDraw.Draw(picture)
    low, high = figure.extent.min(0), figure.extent.max(0)
    centre, reach = (low + high) / 2, float((high - low)[[0, 2]].max()) / 2 + 3.0
    steps = np.arange(-np.ceil(reach * 2), np.ceil(reach * 2) + 1) / 2
    middle = np.round(centre * 2) / 2
    for across, along in ((0, 2), (2, 0)):
        for step in steps:
            line = np.full((len(steps), 3), figure.floor)
            line[:, across] = middle[across] + step
            line[:, along] = middle[along] + steps
            xy, _ = camera.project(line)
            away = np.hypot(line[:, 0] - centre[0], line[:, 2] - centre[2]) / reach
            whole_metre = (middle[across] + step) % 1 == 0
            for a, b, fade in zip(xy[:-1], xy[1:], (away[:-1] + away[1:]) / 2, strict=True):
                if fade < 1:
                    paint = mix(GROUND_LINE, BACKGROUND, min(1.0, fade**1.5 + (0.0 if whole_metre else 0.45)))
                    draw.line([*a, *b], fill=paint, width=SUPERSAMPLING)
    return picture


def _on_floor(points: np.ndarray, floor: float, along: np.ndarray | None = None) -> np.ndarray:
    """Return the points dropped to the floor: straight down, or along a ray of light."""
    ray = np.array([0.0, 1.0, 0.0]) if along is None else along / along[1]
    return points - (points[..., 1:2] - floor) * ray


def write_sentence(picture: Image.Image, text: str) -> None:
    """The sentence in the upper left corner, broken into lines that fit."""
    font = ImageFont.load_default(max(14, picture.height // 30))
    lines = wrapped(text, picture.width - 32, lambda line: ImageDraw.Draw(picture).textlength(line, font=font))
    ImageDraw.Draw(picture).multiline_text((16, 14), "\n".join(lines), fill=INK, font=font, spacing=5)


def wrapped(text: str, width: float, length_of: Callable[[str], float]) -> list[str]:
    """Return the text in lines that are no longer than `width`; a longer word has a line of its own."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if length_of(longer) > width and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def mix(colour: str, other: str, share: float) -> str:
    pairs = ((int(colour[at : at + 2], 16), int(other[at : at + 2], 16)) for at in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
