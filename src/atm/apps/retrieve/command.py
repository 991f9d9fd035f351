"""`atm retrieve`: from a sentence or a motion file to what is nearest in a data set, as a table and a page."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from atm.apps.resources import device, open_space
from atm.apps.retrieve.index import Hit, build_index
from atm.base.errors import InputError
from atm.base.outputs import check_output, output
from atm.base.packaged import packaged
from atm.base.storage import find_model
from atm.data.humanml3d import MotionDataset, open_dataset
from atm.export import MotionFile, load_motion
from atm.motion import Motion, features_from_joints
from atm.pages.page import Column, TableRow, page, paragraph, quoted, table
from atm.pages.viewer import MotionView, Pane, viewer_html
from atm.text import check_sentence

MOST = 60
"""Results of a page, so that it stays below 5 MB."""
MOTIONS = (".npz", ".npy")


class Found(NamedTuple):
    """Results of one query."""

    query: str | MotionFile
    hits: list[Hit]
    dataset: MotionDataset


def retrieve(
    query: str,
    *,
    data: Path,
    space: Path | None = None,
    split: str = "test",
    top: int = 10,
    out: Path,
    show_progress: bool = True,
) -> Found:
    """Search a data set and write the page.

    Args:
        query: a sentence, which finds motions; or a motion file (.npz, .npy), which finds captions.
        data: data folder.
        space: run folder or model file of the space; None: the packaged one, which knows scripted motions only.
        split: of the data folder.
        top: results.
        out: the page (.html).
        show_progress: bars.

    Raises:
        InputError: an empty sentence, no such motion file, a space of other features, or an impossible number.
    """
    if not 1 <= top <= MOST:
        raise InputError(f"top must be 1 to {MOST}, got {top}")
    if out.suffix.lower() != ".html":
        raise InputError(f"the results are a page: expected a path that ends in .html, got {out}")
    check_output(out)
    asked = _read(query)
    dataset = open_dataset(data, split)
    searched = open_space(space, width=dataset.skeleton.feature_width)
    weights = packaged("space") if space is None else find_model(space)
    index = build_index(searched, weights, dataset, device=device(), show_progress=show_progress)
    if isinstance(asked, str):
        hits = index.motions_like(asked, top)
    else:
        hits = index.captions_like(_features(asked, query), top)
    found = Found(asked, hits, dataset)
    html = page(
        "What is nearest in the data",
        _parts(found),
        kicker="atm retrieve",
        lead=_lead(found, query),
        footer=f"motions of {data}, split {split}: {len(dataset)}; {space or 'the packaged space'}",
    )
    with output(out) as part:
        part.write_text(html, encoding="utf-8")
    return found


def _read(query: str) -> str | MotionFile:
    if query.lower().endswith(MOTIONS):
        return load_motion(query)
    check_sentence(query)
    return query.strip()


def _features(motion: MotionFile, name: str) -> Float[np.ndarray, "T D"]:
    """Return the motion's own features, or those of its joints."""
    if motion.features is not None:
        return motion.features
    if len(motion.joints) < 2:
        raise InputError(f"{name} has {len(motion.joints)} frame: a motion to search with has at least 2")
    joints = motion.joints / motion.skeleton.metres_per_unit
    return features_from_joints(joints.astype(np.float32), motion.skeleton).numpy()


def _lead(found: Found, query: str) -> str:
    if isinstance(found.query, str):
        return f"Motions that the space takes to be nearest to {quoted(found.query)}."
    own = f", {quoted(found.query.text)}" if found.query.text else ""
    return f"Captions that the space takes to be nearest to the motion {Path(query).name}{own}."


def _parts(found: Found) -> list[str]:
    return [
        viewer_html(MotionView("", _panes(found), columns=5)),
        paragraph("The number is the cosine of query and result: 1 is the same direction in the space."),
        table("caption", ["cosine", Column("motion", "id"), "seconds"], _rows(found)),
    ]


def _panes(found: Found) -> list[Pane]:
    """Return the query, where it is a motion, and the motions of the results, each once, at its best place."""
    panes, shown = [], set()
    if isinstance(found.query, MotionFile):
        caption = quoted(found.query.text) if found.query.text else ""
        panes.append(Pane("query", found.query.joints, caption=caption, skeleton=found.query.skeleton))
    for rank, hit in enumerate(found.hits, start=1):
        if hit.item.id in shown:
            continue
        shown.add(hit.item.id)
        features = torch.from_numpy(np.array(found.dataset.features(hit.item)))[None]
        joints = Motion(features, torch.tensor([hit.item.frames])).joints[0].numpy()
        label = f"{rank}: {hit.cosine:.3f}"
        panes.append(Pane(label, joints, caption=quoted(hit.text), skeleton=found.dataset.skeleton))
    return panes


def _rows(found: Found) -> Sequence[TableRow]:
    fps = found.dataset.skeleton.fps
    return [TableRow(quoted(hit.text), [hit.cosine, hit.item.id, f"{hit.item.frames / fps:.1f}"]) for hit in found.hits]
