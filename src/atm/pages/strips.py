"""Film strips for print: poses of motions beside one another, darker with time, as a picture or as vectors."""

import html
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont

from atm.export.npz import check_joints
from atm.motion import HUMANML3D, Skeleton
from atm.pages.camera import Camera, camera_around
from atm.pages.render import (
    INK,
    MUTED,
    ROUND,
    SUPERSAMPLING,
    Figure,
    draw_figure,
    mix,
    painted,
    paste_shadow,
    wrapped,
    write_sentence,
)
from atm.pages.viewer import HIGHLIGHT_COLOUR, side_colours

LIGHTEST = 0.62
"""Share of white in the first pose's colours; the last pose has none."""
LOOKS_FROM = np.radians(8)
"""The camera's height above the horizon."""
GUTTER, PANEL, FOOTER, GAP = 230, (132, 236), 22, 16
"""Pixels: width of the names before a strip, size of a pose, height of the seconds below it, space between strips."""
PRINTED = 2
"""Pixels of a printed sheet for each of these."""
NAME_SIZE, CAPTION_SIZE, SECONDS_SIZE = 15, 13, 12
LETTER = 0.54
"""Width of a letter in its size, guessed: SVG cannot be asked."""


class Strip(NamedTuple):
    """One motion, or a span of one, on a sheet of strips."""

    name: str
    joints: Float[np.ndarray, "T J 3"]
    """In metres, y up: the whole motion."""
    colour: str = "sides"
    """A name of `atm.export.COLOURS` or #rrggbb."""
    caption: str = ""
    span: tuple[int, int] | None = None
    """First frame, and the frame after the last, of the clip that is shown, marked as one; None: the whole motion."""
    skeleton: Skeleton = HUMANML3D


def film_strip(
    joints: Float[np.ndarray, "T J 3"],
    n: int = 8,
    *,
    skeleton: Skeleton = HUMANML3D,
    panel: tuple[int, int] = (220, 420),
    colour: str = "sides",
    text: str = "",
) -> Image.Image:
    """Return one picture of one motion: `n` poses, evenly spaced in time, beside one another, darker with time.

    Each pose stands in its own panel wherever the figure has walked to; seconds are written below it.

    Raises:
        InputError: a motion that is not finite or not of this skeleton, or an unknown colour.
        ValueError: n < 1.
    """
    row = _Row(Strip("motion", joints, colour, skeleton=skeleton), n)
    header, footer = (44 if text else 0), 34
    poses = row.picture(row.camera(panel, SUPERSAMPLING), panel)
    strip = Image.new("RGB", (poses.width, header + poses.height + footer), "white")
    strip.paste(poses, (0, header))
    draw = ImageDraw.Draw(strip)
    for i, seconds in enumerate(row.seconds):
        place = ((i + 0.5) * panel[0], strip.height - 18)
        draw.text(place, f"{seconds:.1f} s", fill=MUTED, font=ImageFont.load_default(15), anchor="mm")
    if text:
        write_sentence(strip, text)
    return strip


def strips_image(strips: Sequence[Strip], n: int = 8) -> Image.Image:
    """Return the strips below one another, each with its name and caption before it, all at one scale.

    Args:
        strips: at least one.
        n: poses of each.

    Raises:
        InputError: as `film_strip`.
        ValueError: no strip, n < 1, or a span outside of its motion.
    """
    rows, panel = _rows(strips, n), tuple(PRINTED * side for side in PANEL)
    camera = _common_camera(rows, panel, SUPERSAMPLING)
    width = PRINTED * GUTTER + panel[0] * max(len(row.frames) for row in rows)
    step = panel[1] + PRINTED * (FOOTER + GAP)
    sheet = Image.new("RGB", (width, step * len(rows)), "white")
    draw = ImageDraw.Draw(sheet)
    name, caption, small = (_font(size) for size in (NAME_SIZE, CAPTION_SIZE, SECONDS_SIZE))
    for i, row in enumerate(rows):
        top, bottom = i * step, i * step + panel[1]
        sheet.paste(row.picture(camera, panel), (PRINTED * GUTTER, top))
        y = top + PRINTED * 34
        for text, font, paint in ((row.strip.name, name, INK), (row.strip.caption, caption, MUTED)):
            for line in wrapped(text, PRINTED * (GUTTER - 24), lambda t, font=font: draw.textlength(t, font=font)):
                draw.text((0, y), line, fill=paint, font=font)
                y += round(1.3 * font.size)
        for k, seconds in enumerate(row.seconds):
            place = (PRINTED * GUTTER + (k + 0.5) * panel[0], bottom + PRINTED * FOOTER / 2)
            draw.text(place, f"{seconds:.1f} s", fill=MUTED, font=small, anchor="mm")
        if row.strip.span is not None:
            ends = PRINTED * GUTTER, PRINTED * GUTTER + panel[0] * len(row.frames)
            draw.rectangle((ends[0], bottom - PRINTED * 3, ends[1], bottom), fill=HIGHLIGHT_COLOUR)
    return sheet


def strips_svg(strips: Sequence[Strip], n: int = 8) -> str:
    """Return the same as `strips_image`, as an SVG drawing that needs no font and no other file."""
    rows = _rows(strips, n)
    camera = _common_camera(rows, PANEL, 1)
    width = GUTTER + PANEL[0] * max(len(row.frames) for row in rows)
    step = PANEL[1] + FOOTER + GAP
    parts = [_svg_row(row, camera, i * step) for i, row in enumerate(rows)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {step * len(rows)}" width="{width}" '
        f'font-family="system-ui, Helvetica, Arial, sans-serif">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(parts)}</svg>\n'
    )


class _Row:
    """The poses of one strip."""

    def __init__(self, strip: Strip, n: int):
        if n < 1:
            raise ValueError(f"a film strip needs at least 1 pose, got n={n}")
        check_joints(strip.joints, strip.skeleton, strip.name)
        start, end = strip.span or (0, len(strip.joints))
        if not 0 <= start < end <= len(strip.joints):
            raise ValueError(f"span {start}:{end} is no span of the {len(strip.joints)} frames of {strip.name!r}")
        self.strip = strip
        self.frames = np.linspace(start, end - 1, min(n, end - start)).round().astype(int)
        joints = np.asarray(strip.joints, dtype=np.float64)
        # Every pose stands on the same floor, in the middle of its panel.
        poses = joints[self.frames] - joints[self.frames, :1] * [1.0, 0.0, 1.0] - [0.0, joints[..., 1].min(), 0.0]
        self.figure = Figure(poses, strip.skeleton, side_colours(strip.colour), lowest=0.0)

    @property
    def seconds(self) -> list[float]:
        return [frame / self.strip.skeleton.fps for frame in self.frames]

    def camera(self, panel: tuple[int, int], scale: int) -> Camera:
        return _common_camera([self], panel, scale)

    def colours(self, pose: int) -> dict[str, str]:
        early = 1 - pose / max(len(self.frames) - 1, 1)
        return {side: mix(paint, "#ffffff", LIGHTEST * early) for side, paint in self.figure.colours.items()}

    def picture(self, camera: Camera, panel: tuple[int, int]) -> Image.Image:
        """Return the poses beside one another; the camera's picture is a panel, `SUPERSAMPLING` times as large."""
        width, height = (side * SUPERSAMPLING for side in panel)
        picture = Image.new("RGB", (width * len(self.frames), height), "white")
        draw = ImageDraw.Draw(picture)
        shadows, shapes = self.figure.shadows(camera), self.figure.shapes(camera)
        for i in range(len(self.frames)):
            offset = np.array([i * width, 0])
            paste_shadow(picture, shadows[i] + offset)
            draw_figure(draw, self.figure, shapes, i, self.colours(i), offset)
        return picture.reduce(SUPERSAMPLING)


def _rows(strips: Sequence[Strip], n: int) -> list[_Row]:
    if not strips:
        raise ValueError("a sheet needs at least 1 strip, got none")
    return [_Row(strip, n) for strip in strips]


def _common_camera(rows: Sequence[_Row], panel: tuple[int, int], scale: int) -> Camera:
    extent = np.concatenate([row.figure.extent for row in rows])
    return camera_around(extent, panel[0] * scale, panel[1] * scale, elevation=LOOKS_FROM)


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(PRINTED * size)


def _svg_row(row: _Row, camera: Camera, top: int) -> str:
    shadows, shapes = row.figure.shadows(camera), row.figure.shapes(camera)
    parts, y, bottom = [], 34 + NAME_SIZE, PANEL[1]
    for text, size, paint, weight in (
        (row.strip.name, NAME_SIZE, INK, 600),
        (row.strip.caption, CAPTION_SIZE, MUTED, 400),
    ):
        for line in wrapped(text, GUTTER - 24, lambda t, size=size: LETTER * size * len(t)):
            style = f'font-size="{size}" font-weight="{weight}" fill="{paint}"'
            parts.append(f'<text y="{y}" {style}>{html.escape(line)}</text>')
            y += round(1.3 * size)
    for i, seconds in enumerate(row.seconds):
        shadow = "".join(_path(outline) for outline in shadows[i])
        figure = "".join(
            f'<path d="{_path(outline)}" fill="{paint}"/>'
            for outline, paint in painted(row.figure, shapes, i, row.colours(i))
        )
        parts.append(
            f'<g transform="translate({GUTTER + i * PANEL[0]} 0)">'
            f'<path d="{shadow}" fill="#2a2418" fill-opacity="0.16"/>{figure}'
            f'<text x="{PANEL[0] / 2:g}" y="{bottom + FOOTER / 2 + 4:g}" text-anchor="middle" '
            f'font-size="{SECONDS_SIZE}" fill="{MUTED}">{seconds:.1f} s</text></g>'
        )
    if row.strip.span is not None:
        width = PANEL[0] * len(row.frames)
        parts.append(f'<rect x="{GUTTER}" y="{bottom - 3}" width="{width}" height="3" fill="{HIGHLIGHT_COLOUR}"/>')
    return f'<g transform="translate(0 {top})">{"".join(parts)}</g>'


def _path(outline: Float[np.ndarray, "_ 2"]) -> str:
    """Return a capsule's outline, whose ends are half circles, as two arcs and two lines."""
    ends = []
    for end in (outline[:ROUND], outline[ROUND:]):
        radius = np.linalg.norm(end[-1] - end[0]) / 2
        (ax, ay), (bx, by) = end[0], end[-1]
        ends.append(f"{ax:.1f} {ay:.1f}A{radius:.1f} {radius:.1f} 0 0 1 {bx:.1f} {by:.1f}")
    return f"M{ends[0]}L{ends[1]}Z"
