"""Break the alignment losses in one place after another, in a copy, and expect a red test each time.

    python tests/mutants.py [words of a mutation ...]

Prints those that no test noticed and exits with 1; with 2 where the table below no longer fits the source. Each
mutation exchanges one text that occurs once in its file, and runs the test files that should notice.
"""

import contextlib
import io
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal, NamedTuple

ROOT = Path(__file__).parents[1]
LIMIT = 300
"""Seconds of one mutation's tests, at most; one that hangs is noticed, too."""


class Mutation(NamedTuple):
    """One thing that somebody could get wrong."""

    what: str
    file: str
    """Below src/atm."""
    old: str
    new: str
    tests: tuple[str, ...] = ("alignment/test_config_values.py",)
    """Below tests."""


VALUES = ("alignment/test_config_values.py",)
OBJECTIVE = ("alignment/test_objective.py",)
KEYS = ("alignment/test_config_keys.py",)
MINING = ("alignment/test_mining.py",)
LOSSES = ("alignment/test_losses.py",)
LATENTS = ("space/test_latents.py",)
GATHER = ("alignment/test_gather.py",)
SHORTCUTS = ("alignment/test_shortcuts.py",)

INTER, INTRA, FALSE = "alignment/inter.py", "alignment/intra.py", "alignment/counterfactual.py"
CONFIG, HEART, EMBED = "alignment/config.py", "alignment/objective.py", "alignment/embed.py"
NEGATIVES, PURE, CLIPS, LOG = (f"alignment/{name}.py" for name in ("negatives", "losses", "clips", "diagnostics"))

MUTATIONS = [
    # How the inter-motion loss is wired.
    Mutation("inter: rule", INTER, "rule=inter.rule", 'rule="ratio"'),
    Mutation("inter: number of negatives", INTER, '"count": inter.negatives', '"count": 1'),
    Mutation("inter: fixed margin", INTER, 'None if inter.margin == "adaptive" else inter.margin', "None"),
    Mutation("inter: margin of 0", INTER, 'None if inter.margin == "adaptive" else', "None if not inter.margin or"
             ' inter.margin == "adaptive" else'),
    Mutation("inter: distance of mining", INTER, '"distance": config.distance}', '"distance": "cosine"}'),
    Mutation("inter: distance of loss", INTER, "distance=config.distance, detach", 'distance="cosine", detach'),
    Mutation("inter: floor", INTER, '"floor": config.floor', '"floor": 1e-4'),
    Mutation("inter: detach", INTER, "detach_negative=inter.detach", "detach_negative=False"),
    Mutation("inter: always detached", INTER, "detach_negative=inter.detach", "detach_negative=True"),
    Mutation("inter: temperature", INTER, "temperature=inter.temperature", "temperature=0.1"),
    Mutation("inter: triplet margin", INTER, "TRIPLET_MARGIN = 0.2", "TRIPLET_MARGIN = 0.3"),
    Mutation("inter: triplet with a fixed margin", INTER, "TRIPLET_MARGIN if margin is None else margin",
             "TRIPLET_MARGIN"),
    Mutation("inter: random numbers", INTER, "admissible, rng, **chosen_by", "admissible, None, **chosen_by"),
    Mutation("inter: form", INTER, 'if inter.loss == "triplet":', 'if inter.loss == "none":'),
    Mutation("inter: noise", INTER, "mean_of_valid(each[seen.own], mined.valid & takes_part[:, None])",
             "mean_of_valid(each[seen.own], mined.valid)"),
    Mutation("inter: noise of the contrastive form", INTER, "loss[seen.own] * takes_part", "loss[seen.own]"),
    Mutation("inter: epsilon", INTER, "epsilon=config.epsilon", "epsilon=0.85"),
    Mutation("inter: similarity in the space", INTER, 'seen.text if config.similarity == "space" else seen.sentence',
             "seen.sentence"),
    Mutation("inter: similarity by meaning", INTER, 'seen.meaning if config.similarity == "meaning" else None', "None"),
    Mutation("inter: meaning always", INTER, 'seen.meaning if config.similarity == "meaning" else None',
             "seen.meaning"),
    # How the intra-motion loss is wired.
    Mutation("intra: positive rule", INTRA, "positive_rule=config.intra.positive_rule", 'positive_rule="ratio"'),
    Mutation("intra: negative rule", INTRA, "negative_rule=config.intra.negative_rule", 'negative_rule="ratio"'),
    Mutation("intra: rules exchanged", INTRA,
             "positive_rule=config.intra.positive_rule, negative_rule=config.intra.negative_rule",
             "positive_rule=config.intra.negative_rule, negative_rule=config.intra.positive_rule"),
    Mutation("intra: proxy pairs", INTRA, "count=config.intra.proxy_pairs", "count=1"),
    Mutation("intra: proxies from", INTRA, 'if config.intra.proxies_from == "motion":', "if False:"),
    Mutation("intra: detach", INTRA, "detach_proxies=config.intra.detach", "detach_proxies=False"),
    Mutation("intra: always detached", INTRA, "detach_proxies=config.intra.detach", "detach_proxies=True"),
    Mutation("intra: fixed margin", INTRA, 'None if config.intra.margin == "adaptive" else config.intra.margin',
             "None"),
    Mutation("intra: margin of the other loss", INTRA, "else config.intra.margin", "else config.inter.margin"),
    Mutation("intra: floor", INTRA, "floor=config.floor", "floor=1e-4"),
    Mutation("intra: distance of mining", INTRA, "floor=config.floor, distance=config.distance",
             'floor=config.floor, distance="cosine"'),
    Mutation("intra: distance of loss", INTRA, "distance=config.distance, detach", 'distance="cosine", detach'),
    Mutation("intra: distance of the least aligned", INTRA, "clips.owner, distance=config.distance",
             'clips.owner, distance="cosine"'),
    Mutation("intra: gamma", INTRA, "alike < config.intra.gamma", "alike < 0.8"),
    Mutation("intra: gamma is not asked", INTRA, "(alike < config.intra.gamma) & takes_part",
             "(alike < 2) & takes_part"),
    Mutation("intra: gamma of another measure", INTRA, 'row_distance(whole, whole_real, "cosine")',
             "row_distance(whole, whole_real, config.distance)"),
    Mutation("intra: gate", INTRA, "negative.valid & under_gamma[row][:, None])", "negative.valid)"),
    Mutation("intra: noise", INTRA, "(alike < config.intra.gamma) & takes_part", "alike < config.intra.gamma"),
    Mutation("intra: length of clips", INTRA, "round(config.clip_seconds * fps)", "round(2.0 * fps)"),
    Mutation("intra: shortest clip", INTRA, "config.min_clip_seconds, fps", "1.0, fps"),
    Mutation(
        "intra: shortest clip is not capped", INTRA, "min(frames, least_clip_frames(", "max(1, least_clip_frames("
    ),
    Mutation("intra: clips of KIT", INTRA, "round(config.clip_seconds * fps)", "round(config.clip_seconds * 20)"),
    Mutation("intra: shortest clip of KIT", CLIPS, "math.ceil(", "round("),
    Mutation(
        "intra: shortest clip, rounded up too much", CLIPS, "round(seconds * fps, 6)", "seconds * fps"
    ),
    # How the counterfactual loss is wired.
    Mutation("counterfactual: margin", FALSE,
             'None if config.counterfactual.margin == "adaptive" else config.counterfactual.margin', "None"),
    Mutation("counterfactual: distance", FALSE, "distance=config.distance", 'distance="cosine"'),
    Mutation("counterfactual: noise", FALSE, "each * takes_part[row]", "each"),
    # How the terms are put together.
    Mutation("total: weight of inter", HEART, "[config.inter.weight, config", "[config.intra.weight, config"),
    Mutation("total: weight of intra", HEART, "config.intra.weight, config.counterfactual.weight]",
             "config.inter.weight, config.counterfactual.weight]"),
    Mutation("total: weight of counterfactual", HEART, "config.intra.weight, config.counterfactual.weight]",
             "config.intra.weight, 1.0]"),
    Mutation("total: inter is never off", HEART, "if config.inter.weight > 0:", "if True:", OBJECTIVE),
    Mutation("total: intra is never off", HEART, "if config.intra.weight > 0:", "if True:", OBJECTIVE),
    Mutation("total: average", HEART, 'if self.config.average == "batch":', "if True:"),
    Mutation("total: average over active rows always", HEART, 'if self.config.average == "batch":', "if False:"),
    Mutation("total: noise limit", HEART, "noise_level <= config.max_noise", "noise_level <= 1.0"),
    Mutation("total: noise at the limit", HEART, "noise_level <= config.max_noise", "noise_level < config.max_noise"),
    Mutation("total: a motion that is none", HEART, "if motion is None:", "if False:", OBJECTIVE),
    Mutation("total: autocast", HEART, "enabled=False", 'enabled=True, dtype=torch.bfloat16', OBJECTIVE),
    # How motions and texts are embedded.
    Mutation("space: evaluation mode", EMBED, "module.training = False", "pass", OBJECTIVE),
    Mutation("space: gradient of its weights", EMBED, "weight.requires_grad_(False)", "pass", OBJECTIVE),
    Mutation("space: mode afterwards", EMBED, "module.training = True", "pass", OBJECTIVE),
    Mutation("space: weights afterwards", EMBED, "weight.requires_grad_(True)", "pass", OBJECTIVE),
    Mutation("space: precision", EMBED, "motion.features.to(self._precision(motion.features.dtype))", "motion.features",
             OBJECTIVE),
    Mutation("space: captions are embedded each time", EMBED, "if key not in self:", "if True:", OBJECTIVE),
    Mutation("space: changed weights", EMBED, "memory.clear()", "pass", OBJECTIVE),
    Mutation("crops: first frame", EMBED, "zip(batch.ids, batch.first, lengths", "zip(batch.ids, batch.ids, lengths",
             SHORTCUTS),
    Mutation("crops: length", EMBED, "zip(batch.ids, batch.first, lengths", "zip(batch.ids, batch.first, batch.first",
             SHORTCUTS),
    Mutation("crops: together", EMBED, "lambda row: self.motion(motion[row : row + 1])",
             "lambda row: self.motion(motion)[row : row + 1]", SHORTCUTS),
    Mutation("crops: how many", EMBED, "while len(self) > most", "while False", SHORTCUTS),
    Mutation("few: rows that are embedded again", EMBED, "(gradient != 0).any(dim=1)", "(gradient == 0).any(dim=1)",
             SHORTCUTS),
    Mutation("few: all are embedded again", EMBED, "(gradient != 0).any(dim=1)", "(gradient == gradient).any(dim=1)",
             SHORTCUTS),
    Mutation("few: their gradient", EMBED, "embedded, part, gradient[rows])", "embedded, part, gradient[rows] * 2)",
             SHORTCUTS),
    Mutation("few: never", INTRA, "embed.motion_of_few if few else embed.motion", "embed.motion", SHORTCUTS),
    Mutation("few: always", INTRA, "embed.motion_of_few if few else embed.motion", "embed.motion_of_few", SHORTCUTS),
    # Mining, losses, clips.
    Mutation("mining: floor", NEGATIVES, "ratio = generated / real.clamp_min(floor)", "ratio = generated / real"),
    Mutation("mining: sign", NEGATIVES, "score if confused else -score", "score"),
    Mutation("mining: same words", NEGATIVES, "return (similarity <= epsilon) & different",
             "return similarity <= epsilon", MINING),
    Mutation("mining: contradictions", NEGATIVES, "& ~same & different) | contradicts", "& ~same & different)", MINING),
    Mutation("mining: hash of the process", NEGATIVES,
             'int.from_bytes(hashlib.blake2b(one.encode(), digest_size=8).digest(), "big") >> 1', "hash(one) >> 1",
             MINING),
    Mutation("loss: sum over K", PURE, "/ valid.sum(1).clamp_min(1)", ""),
    Mutation("loss: the first of K", PURE, "return (each * valid).sum(1) / valid.sum(1).clamp_min(1)",
             "return (each * valid)[:, 0] if each.shape[1] else each.sum(1)"),
    Mutation("loss: margin of inter the other way", PURE,
             "row_distance(text, z_real[negative], distance) - row_distance(z_text, z_real, distance)[:, None]",
             "row_distance(z_text, z_real, distance)[:, None] - row_distance(text, z_real[negative], distance)"),
    Mutation("loss: margin of intra the other way", PURE,
             "row_distance(real, z_real[negative], distance) - row_distance(real, z_real[positive], distance)",
             "row_distance(real, z_real[positive], distance) - row_distance(real, z_real[negative], distance)"),
    Mutation("clips: the best aligned", CLIPS, "masked_fill(~mine, -torch.inf).argmax",
             "masked_fill(~mine, torch.inf).argmin"),
    Mutation("clips: a short last one", CLIPS, "if length - start >= min_frames", "if length - start >= 1"),
    # Defaults, and what presets make of them.
    Mutation("default: lambda of inter", CONFIG, '    weight: NonNegative = 0.01\n    """Lambda, no unit; 0 turns the'
             ' loss off (table 3)."""\n    loss:', '    weight: NonNegative = 0.1\n    """"""\n    loss:'),
    Mutation("default: lambda of intra", CONFIG, '    weight: NonNegative = 0.01\n    """Lambda, no unit; 0 turns the'
             ' loss off (table 3)."""\n    gamma:', '    weight: NonNegative = 0.1\n    """"""\n    gamma:'),
    Mutation("default: counterfactual is off", CONFIG, "weight: NonNegative = 0.0\n", "weight: NonNegative = 0.1\n"),
    Mutation("default: gamma", CONFIG, "gamma: Cosine = 0.8", "gamma: Cosine = 0.9"),
    Mutation("default: epsilon", CONFIG, "epsilon: Cosine = 0.85", "epsilon: Cosine = 0.8"),
    Mutation("default: clips", CONFIG, "clip_seconds: Positive = 2.0", "clip_seconds: Positive = 1.5"),
    Mutation("default: shortest clip", CONFIG, "min_clip_seconds: Positive = 1.0", "min_clip_seconds: Positive = 0.5"),
    Mutation("default: floor", CONFIG, "floor: Positive = 1e-4", "floor: Positive = 1e-3"),
    Mutation("default: temperature", CONFIG, "temperature: Positive = 0.1", "temperature: Positive = 0.2"),
    Mutation("default: lambda of the presets", "training/presets.py", "PAPER_WEIGHT = 0.01", "PAPER_WEIGHT = 0.1",
             KEYS),
    Mutation("default: lambda of small presets", "training/presets.py", "SMALL_WEIGHT = 0.1", "SMALL_WEIGHT = 0.01",
             KEYS),
    Mutation("default: epsilon of small presets", CONFIG, "MINILM_EPSILON = 0.99", "MINILM_EPSILON = 0.85", KEYS),
    Mutation("former key: rule", CONFIG, '"negative_rule": ("inter.rule",)',
             '"negative_rule": ("intra.negative_rule",)', KEYS),
    Mutation("former key: margin", CONFIG, '("inter.margin", "intra.margin", "counterfactual.margin")',
             '("inter.margin",)', KEYS),
    # The space that is measured in.
    Mutation("space: lambda of the contrastive term", "space/config.py", "lambda_nce: NonNegativeFloat = 0.1",
             "lambda_nce: NonNegativeFloat = 1.0", LATENTS),
    Mutation("space: deviation of the latents", "space/model.py", "torch.exp(gaussian.logvar / 2)",
             "torch.exp(gaussian.logvar)", LATENTS),
    # The log.
    Mutation("log: quantiles of what does not count", LOG, "values.masked_fill(~counts, torch.nan)", "values",
             OBJECTIVE),
    Mutation("log: computed at once", LOG, "@cached_property", "@property", OBJECTIVE),
    Mutation("log: another name", LOG, '"inter/without_negative"', '"inter/no_negative"', OBJECTIVE),
    # Several processes.
    Mutation("gather: rows of clips", INTRA, "clips.owner + first_row", "clips.owner", GATHER),
    Mutation("gather: own rows", "alignment/gather.py", "start = sum(self.counts[: dist.get_rank()])", "start = 0",
             GATHER),
]  # fmt: skip


def main(words: list[str]) -> int:
    chosen = [mutation for mutation in MUTATIONS if all(word in mutation.what for word in words)]
    if not chosen:
        print(f"no mutation has {' and '.join(words)} in its name")
        return 2
    if old := outdated(MUTATIONS):
        print(f"the table no longer fits the source, the old text must be there once: {'; '.join(old)}")
        return 2
    # Loaded once, and there in every process that is forked off. `atm` must not be: each loads its own, broken one.
    for name in ("pytest", "torch", "torch.distributed", "pydantic", "omegaconf", "jaxtyping"):
        __import__(name)
    assert not any(name.split(".")[0] == "atm" for name in sys.modules)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "src"
        shutil.copytree(ROOT / "src", copy, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        needed = tuple(dict.fromkeys(name for mutation in chosen for name in mutation.tests))
        if _run(copy, needed, show=True) != "green":
            print("the tests are red without any mutation")
            return 2
        survivors, broken = [], []
        for number, mutation in enumerate(chosen, 1):
            path = copy / "atm" / mutation.file
            as_it_is = path.read_text(encoding="utf-8")
            path.write_text(as_it_is.replace(mutation.old, mutation.new), encoding="utf-8")
            found = _run(copy, mutation.tests)
            path.write_text(as_it_is, encoding="utf-8")
            survivors += [mutation] * (found == "green")
            broken += [mutation] * (found == "no tests")
            print(f"{number:3}/{len(chosen)} {found:8} {mutation.what}", flush=True)
    print(f"{len(chosen) - len(survivors) - len(broken)} of {len(chosen)} noticed in {time.monotonic() - begun:.0f} s")
    for said, mutations in (("no test noticed", survivors), ("with it no test could be run", broken)):
        for mutation in mutations:
            print(f"{said}: {mutation.what} ({mutation.file}: {mutation.old!r} -> {mutation.new!r})")
    return 1 if survivors else 2 if broken else 0


def outdated(mutations: list[Mutation]) -> list[str]:
    """The mutations whose old text is not there, or more than once."""
    sources = [(ROOT / "src" / "atm" / mutation.file).read_text(encoding="utf-8") for mutation in mutations]
    return [one.what for one, source in zip(mutations, sources, strict=True) if source.count(one.old) != 1]


def _run(copy: Path, tests: tuple[str, ...], *, show: bool = False) -> Literal["green", "red", "no tests"]:
    """What these tests say of the copy of the source, in a process of their own."""
    process = multiprocessing.get_context("fork").Process(target=_run_tests, args=(copy, tests, show))
    process.start()
    process.join(LIMIT)
    if process.is_alive():
        process.kill()
        process.join()
        return "red"
    return {0: "green", 1: "red"}.get(process.exitcode, "no tests")


def _run_tests(copy: Path, tests: tuple[str, ...], show: bool) -> None:
    import pytest
    import torch

    torch.set_num_threads(1)
    os.chdir(ROOT)
    # Python writes no byte code here: two mutations of one second and one length would be taken for the same.
    sys.dont_write_bytecode = True
    os.environ |= {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    sys.path[:0] = [str(copy), str(ROOT / "tests")]
    import atm

    assert Path(atm.__file__).is_relative_to(copy), f"the tests would run on {atm.__file__}"
    # Without conftest.py, whose checks of shapes take longer than the tests and are not what is asked here.
    options = ["-x", "-q", "--noconftest", "-p", "no:cacheprovider", "-p", "no:xdist"]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = pytest.main([*options, *(str(ROOT / "tests" / name) for name in tests)])
    if show and code:
        print(said.getvalue())
    # Not by way of the interpreter's end: what was forked off has nothing to close.
    sys.stdout.flush()
    os._exit(int(code))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
