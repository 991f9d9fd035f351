"""Films of a motion: `.mp4` (H.264, with the ffmpeg that imageio-ffmpeg carries) and `.gif`."""

import time
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image

from atm.base.progress import progress_bar
from atm.base.storage import atomic
from atm.motion import HUMANML3D, Skeleton
from atm.pages.render import render_frames

PATIENCE = 2.0
"""Seconds before a progress bar appears."""


def save_video(
    path: Path | str,
    joints: Float[np.ndarray, "T J 3"],
    *,
    skeleton: Skeleton = HUMANML3D,
    width: int = 480,
    height: int = 480,
    colour: str = "sides",
    text: str = "",
) -> None:
    """Write a film of one motion at the skeleton's frame rate; `.gif` by its suffix, else `.mp4`.

    Args are those of `atm.pages.render.render_frames`; width and height should be even (H.264 takes no odd size).
    """
    frames = render_frames(joints, skeleton=skeleton, width=width, height=height, colour=colour, text=text)
    shown = _with_progress(frames, len(joints), "drawing the film")
    with atomic(Path(path)) as part:
        if Path(path).suffix.lower() == ".gif":
            _write_gif(part, shown, skeleton.fps)
        else:
            _write_mp4(part, shown, skeleton.fps, (width, height))
            _check_film(part, len(joints))


def _write_mp4(path: Path, frames: Iterable[Image.Image], fps: float, size: tuple[int, int]) -> None:
    import imageio_ffmpeg

    writer = imageio_ffmpeg.write_frames(
        str(path),
        size,
        fps=fps,
        codec="libx264",
        quality=None,
        macro_block_size=2,
        output_params=["-crf", "20", "-preset", "veryfast", "-movflags", "+faststart"],
    )
    writer.send(None)
    try:
        for frame in frames:
            writer.send(frame.tobytes())
    except OSError as error:  # its message goes on with ffmpeg's command line
        raise OSError(str(error).partition("\n")[0]) from None
    finally:
        writer.close()


def _check_film(path: Path, frames: int) -> None:
    """Refuse a film that ffmpeg could not write to its end; it ends without an error then."""
    import imageio_ffmpeg

    try:
        written = imageio_ffmpeg.count_frames_and_secs(str(path))[0]
    except RuntimeError:
        written = 0
    if written != frames:
        raise OSError(f"ffmpeg wrote {written} of {frames} frames; is the disk full?")


def _write_gif(path: Path, frames: Iterable[Image.Image], fps: float) -> None:
    # One palette for all: the colours do not change, and frames without an own palette are small. It is taken from
    # the first frame, where the whole figure is seen.
    frames = iter(frames)
    first = next(frames)
    palette = first.quantize(128, dither=Image.Dither.NONE)
    indexed = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in chain([first], frames)]
    indexed[0].save(path, save_all=True, append_images=indexed[1:], duration=round(1000 / fps), loop=0, disposal=1)


def _with_progress(frames: Iterator[Image.Image], total: int, what: str) -> Iterator[Image.Image]:
    """Give the same frames, with a bar on stderr if they take long."""
    begin, bar, task = time.monotonic(), None, None
    try:
        for done, frame in enumerate(frames, start=1):
            yield frame
            if bar is None and time.monotonic() - begin > PATIENCE:
                bar = progress_bar()
                bar.start()
                task = bar.add_task(what, total=total, note="")
            if bar is not None:
                bar.update(task, completed=done)
    finally:
        if bar is not None:
            bar.stop()
