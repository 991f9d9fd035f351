"""Faults in the captions of a folder."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from atm.curation.check.captions import Line, LineFault, cut, line_faults
from atm.curation.check.findings import Finding, Severity
from atm.curation.check.likeness import family
from atm.curation.check.scan import Scan
from atm.data.humanml3d import FRAMES_LIMIT, MIN_FRAMES

WORDS_READ = 20
"""Words of a caption that the field's evaluator reads."""
_RANKED = 32
"""Motions among which R-Precision ranks."""
_CROWDED = 0.05

_FAULTS: dict[LineFault, tuple[Severity, str, str, str]] = {
    "form": (
        "error",
        "lines of another form than caption#word/CLASS ...#from#to",
        "Reading stops there.",
        "makes out caption, words and times",
    ),
    "blank": ("error", "lines without a caption", "No text encoder takes an empty text.", "drops them"),
    "unreadable": (
        "error",
        "captions without a word that can be read",
        "Tokenisers make nothing of them.",
        "drops them",
    ),
    "untagged": (
        "error",
        "captions without word/CLASS tokens",
        "The evaluator reads these, not the caption: it reads nothing.",
        "tags them",
    ),
    "tokens": (
        "error",
        "captions with tokens that are not word/CLASS",
        "The evaluator stops there.",
        "tags them again",
    ),
    "foreign": (
        "warning",
        "captions whose tokens are another sentence's",
        "Generator and evaluator are told different things.",
        "tags them again",
    ),
    "classes": (
        "warning",
        "tokens of word classes that the evaluator does not know (NN, VBZ, ...)",
        "It takes them for OTHER; expected are universal tags (NOUN, VERB, ...).",
        "tags them again",
    ),
    "garbled": (
        "warning",
        "captions with garbled characters",
        "Text that was read in a wrong encoding once.",
        "removes these",
    ),
    "times": (
        "error",
        "captions whose from and to lie outside of their clip",
        "No frame belongs to them: they are not read.",
        "drops them",
    ),
}


def text_findings(scan: Scan) -> Iterator[Finding]:
    """Give findings about text files, caption lines, and captions that several clips have."""
    without = [clip_id for clip_id in scan.clips if clip_id not in scan.texts]
    if without:
        yield Finding(
            "error",
            "texts_missing",
            "clips without a text file",
            "Reading the split they are in stops there.",
            tuple(without),
            "drops them",
        )
    empty = [clip_id for clip_id, text in scan.texts.items() if not text.lines]
    if empty:
        yield Finding(
            "error",
            "texts_empty",
            "text files without a caption",
            "Reading the split they are in stops there.",
            tuple(empty),
            "drops their clips",
        )
    orphans = [clip_id for clip_id in scan.texts if clip_id not in scan.clips]
    if orphans:
        yield Finding(
            "note", "texts_only", "text files without a clip", "They are never read.", tuple(orphans), "drops them"
        )
    encoded = [
        f"{clip_id} (read as {text.encoding})" for clip_id, text in scan.texts.items() if text.encoding != "utf-8"
    ]
    if encoded:
        yield Finding(
            "error",
            "texts_not_utf8",
            "text files that are no UTF-8",
            "Reading the split they are in stops there.",
            tuple(encoded),
            "rewrites them",
        )
    yield from _line_findings(scan)
    yield from _shared(scan)


def _line_findings(scan: Scan) -> Iterator[Finding]:
    found: dict[LineFault, list[str]] = defaultdict(list)
    beyond, short, long = [], [], []
    least = MIN_FRAMES[scan.skeleton.feature_width]
    for clip_id, text in scan.texts.items():
        if clip_id not in scan.clips:
            continue
        frames = scan.clips[clip_id].frames
        for number, line in enumerate(text.lines, start=1):
            place = f"{clip_id} line {number}: {line.text or line.raw}"
            # Of a clip without frames the clip is what is wrong, not the times.
            faults = [fault for fault in line_faults(line, frames) if frames or fault != "times"]
            for fault in faults:
                found[fault].append(place)
            if len(line.words) > WORDS_READ:
                long.append(place)
            part = cut(line, frames)
            if part is None or "times" in faults or not (line.start or line.end):
                continue
            if part[1] > frames:
                beyond.append(f"{place} ({line.start:g} to {line.end:g} s of {frames} frames)")
            # Of a clip that takes no part itself the finding about its length says so.
            if least <= frames < FRAMES_LIMIT and not least <= min(part[1], frames) - part[0]:
                short.append(place)
    for fault, (severity, what, meaning, repair) in _FAULTS.items():
        if found[fault]:
            yield Finding(severity, f"captions_{fault}", what, meaning, tuple(found[fault]), repair)
    if beyond:
        yield Finding(
            "note", "captions_beyond", "captions that end behind their clip", "They are cut at its end.", tuple(beyond)
        )
    if short:
        yield Finding(
            "note",
            "captions_part_length",
            f"captions of parts of under {least} frames",
            "By the published rule these parts take no part.",
            tuple(short),
        )
    if long:
        yield Finding(
            "note",
            "captions_long",
            f"captions of over {WORDS_READ} words",
            f"The evaluator reads the first {WORDS_READ}.",
            tuple(long),
        )


def _shared(scan: Scan) -> Iterator[Finding]:
    """Give captions of several clips: what retrieval can at most reach."""
    owners: dict[str, set[str]] = defaultdict(set)
    lines: dict[str, int] = Counter()
    for clip_id in scan.clips:
        for line in scan.texts[clip_id].lines if clip_id in scan.texts else ():
            owners[_said(line.text)].add(family(clip_id))
            lines[clip_id] += 1
    shared = sorted((caption for caption in owners if len(owners[caption]) > 1), key=lambda c: -len(owners[c]))
    if shared:
        meet = _meetings(scan)
        yield Finding(
            "warning" if meet > _CROWDED else "note",
            "captions_shared",
            "captions that several clips have",
            f"{meet:.1%} of test motions meet their own caption again among {_RANKED} that R-Precision ranks, and "
            "cannot be told from it. (A mirror image counts with its clip.)",
            tuple(f"{caption!r} ({len(owners[caption])} clips)" for caption in shared),
        )
    learnt = {_said(line.text) for line in _lines_of(scan, "train")}
    test = [_said(line.text) for line in _lines_of(scan, "test")]
    known = [caption for caption in test if caption in learnt]
    if known:
        yield Finding(
            "note",
            "captions_of_test_in_train",
            "test captions that occur in train word for word",
            f"{len(known) / len(test):.0%} of all: of these a model need not understand a new sentence.",
            tuple(dict.fromkeys(known)),
        )


def _meetings(scan: Scan) -> float:
    """Return chance that a test caption stands among 31 others drawn at random."""
    counts = Counter(_said(line.text) for line in _lines_of(scan, "test"))
    total = sum(counts.values())
    shares = [count / total for count in counts.values()]
    return sum(share * (1 - (1 - share + 1 / total) ** (_RANKED - 1)) for share in shares)


def _lines_of(scan: Scan, split: str) -> list[Line]:
    ids = scan.splits.get(split, [])
    return [line for clip_id in ids if clip_id in scan.texts for line in scan.texts[clip_id].lines]


def _said(text: str) -> str:
    """Return a caption as far as it says something: without case, full stop and double blanks."""
    return " ".join(text.lower().strip(" .").split())
