"""`atm bench`: sides in turn, ratios against an earlier report, and forms that compute what ours compute."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from atm.alignment import Alignment, AlignmentConfig
from atm.apps.bench import steps
from atm.apps.bench.measure import BenchReport, Comparison, Times, compare, measure
from atm.apps.bench.published import (
    PlainMDM,
    PlainTokeniser,
    PlainTokeniserTrainer,
    PlainTrainer,
    plain_fid,
    plain_r_precision,
)
from atm.apps.bench.scale import Coarse, bench_scale
from atm.base.errors import InputError
from atm.evaluation.metrics import fid, r_precision
from atm.generators.mdm.config import MDMConfig
from atm.generators.mdm.model import MDM
from atm.generators.tokens.config import RVQConfig
from atm.generators.tokens.rvq import ResidualVQVAE
from atm.interface import Batch
from atm.motion import Motion
from atm.motion.layers import Normaliser
from doubles import FakeTextEncoder
from folders import make_folder


def test_sides_run_in_turn_every_second_round_backwards_and_the_first_round_does_not_count():
    ran: list[tuple[str, int]] = []
    ticks = iter(range(100))
    sides = {name: lambda number, name=name: ran.append((name, number)) for name in "ab"}
    found = measure("two", sides, rounds=2, clock=lambda: float(next(ticks)), show=False)
    assert ran == [("a", 0), ("b", 0), ("b", 1), ("a", 1), ("a", 2), ("b", 2)]
    assert [len(times.wall) for times in found.times.values()] == [2, 2]
    assert found.times["a"].cpu == [1.0, 1.0], "the clock goes on by one between begin and end"


def report_of(ratio: float, *, quick: bool = False, scale: float = 1.0, what: str = "steps") -> BenchReport:
    """Two sides, of which the second takes `ratio` times as long, on a machine that is `scale` times as slow."""
    base = [scale * seconds for seconds in (1.0, 2.0, 4.0)]
    mine = [ratio * seconds for seconds in base]
    return BenchReport([Comparison(what, {"base": Times(base, base), "ours": Times(mine, mine)})], quick)


def test_a_ratio_is_that_of_each_round():
    """Rounds of 1, 2 and 4 seconds: the machine was slower, the ratio was not."""
    assert report_of(1.5).comparisons[0].ratios("ours") == [1.5, 1.5, 1.5]
    assert report_of(1.5).comparisons[0].ratios("base") == [1.0, 1.0, 1.0]


def test_a_ratio_that_is_worse_by_more_than_the_margin_is_named(tmp_path):
    report_of(1.2, scale=0.1).write(tmp_path / "old.json")
    assert compare(report_of(1.2), tmp_path / "old.json") == []
    assert compare(report_of(1.37), tmp_path / "old.json", margin=0.15) == []
    assert compare(report_of(1.39), tmp_path / "old.json", margin=0.15) == ["steps, ours: 1.39 times, 1.20 before"]
    assert len(compare(report_of(1.37), tmp_path / "old.json", margin=0.1)) == 1


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"quick": false, "comparisons": [{"what": "steps"}]}'])
def test_a_file_that_is_no_report_is_refused(tmp_path, text):
    (tmp_path / "old.json").write_text(text)
    with pytest.raises(InputError, match="is no report of atm bench"):
        compare(report_of(1.0), tmp_path / "old.json")


@pytest.mark.parametrize("other", [{"quick": True}, {"what": "something else"}])
def test_reports_with_nothing_in_common_are_refused(tmp_path, other):
    report_of(1.0, **other).write(tmp_path / "old.json")
    with pytest.raises(InputError, match="none of the comparisons made here"):
        compare(report_of(1.0), tmp_path / "old.json")


def test_a_report_says_machine_versions_threads_and_every_round(tmp_path):
    report_of(1.25).write(tmp_path / "now.json")
    known = json.loads((tmp_path / "now.json").read_text())
    assert {"machine", "versions", "commit", "threads", "started"} <= known.keys() and known["quick"] is False
    (one,) = known["comparisons"]
    assert one["sides"]["ours"] == {"wall": [1.25, 2.5, 5.0], "cpu": [1.25, 2.5, 5.0], "ratio": 1.25}
    (table,) = report_of(1.25).tables()
    assert table.row_count == 2


FID = "FID of 128 motions, 16 numbers each"
"""As the quick form names it."""


def atm(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "atm", *words], capture_output=True, text=True)


def test_the_command_measures_writes_and_compares(tmp_path):
    old, now = tmp_path / "old.json", tmp_path / "now.json"
    report_of(1e6, quick=True, what=FID).write(old)
    asked = ("bench", "evaluate", "--quick", "--quiet", "--compare", str(old))
    done = atm(*asked, "--json", str(now))
    assert done.returncode == 0 and "no ratio is worse" in done.stdout, done.stderr
    assert "threads: " in done.stdout and "torch " in done.stdout
    assert [one["what"] for one in json.loads(now.read_text())["comparisons"]][1] == FID
    report_of(1e-6, quick=True, what=FID).write(old)
    done = atm(*asked)
    assert done.returncode == 2 and f"by more than 15 %: {FID}, ours: " in done.stderr


@pytest.mark.parametrize("work", [steps.bench_train, steps.bench_losses, steps.bench_sample, bench_scale])
def test_every_side_runs_at_tiny_sizes(tmp_path, monkeypatch, work):
    monkeypatch.setenv("ATM_CACHE", str(tmp_path / "cache"))
    found = work(make_folder(tmp_path / "data"), quick=True, show=False)
    for one in found:
        for side, times in one.times.items():
            assert len(times.cpu) == steps.QUICK_ROUNDS and min(times.cpu) > 0, side


@pytest.mark.slow
def test_everything_runs_in_one_command(tmp_path):
    file = tmp_path / "all.json"
    assert atm("bench", "--quick", "--quiet", "--json", str(file)).returncode == 0
    names = " ".join(one["what"] for one in json.loads(file.read_text())["comparisons"])
    for word in ("training step", "losses on mdm_small", "denoising", "FID", "crops", "shell"):
        assert word in names


def both_forms() -> tuple[MDM, PlainMDM]:
    """Ours and the plain one, with the same weights."""
    torch.manual_seed(0)
    config = MDMConfig(width=16, heads=4, feed_forward=24, layers=2, max_frames=30, text_encoder="fake")
    ours = MDM(config, FakeTextEncoder(), Normaliser.identity(263)).eval()
    plain = PlainMDM(263, 8, width=16, heads=4, feed_forward=24, layers=2, frames=30).eval()
    names = {
        "input_process.poseEmbedding": "pose_in", "output_process.poseFinal": "pose_out", "embed_text": "text",
        "embed_timestep.time_embed": "time", "seqTransEncoder": "trunk",
    }  # fmt: skip
    state = {}
    for key, value in ours.state_dict().items():
        for old, new in names.items():
            if key.startswith(f"{old}."):
                state[new + key.removeprefix(old)] = value
    assert plain.load_state_dict(state, strict=False).missing_keys == ["positions"]
    return ours, plain


def test_the_published_form_of_mdm_computes_what_ours_computes():
    ours, plain = both_forms()
    rng = torch.Generator().manual_seed(1)
    x_t, t = torch.randn(3, 30, 263, generator=rng), torch.tensor([0, 500, 999])
    said = ours.text_encoder(["he walks", "she sits", "they jump"])
    expected = ours(x_t, t, ours.condition(said), torch.ones(3, 30, dtype=torch.bool))
    found = plain(x_t.permute(0, 2, 1)[:, :, None], t, said.sentence)[:, :, 0].permute(0, 2, 1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_a_plain_training_step_learns():
    _, plain = both_forms()
    trainer = PlainTrainer(plain, torch.zeros(263), torch.ones(263))
    motion = Motion(torch.ones(4, 24, 263), torch.tensor([24, 20, 24, 16]))
    batch = Batch(motion, list("abcd"), torch.eye(4, 8), list("abcd"))
    for group in trainer.optimizer.param_groups:
        group["lr"] = 1e-2
    losses = [trainer.step(batch, 0) for _ in range(40)]
    assert losses[-1] < 0.5 * losses[0]


def a_tokeniser(**changes):
    sizes = {"width": 16, "depth": 2, "halvings": 2, "levels": 3, "codes": 8, "decay": 0.9, "dropout": 0.0} | changes
    return PlainTokeniser(263, growth=3, **sizes)


def test_the_published_form_of_the_tokeniser_computes_what_ours_computes():
    torch.manual_seed(0)
    config = RVQConfig(width=16, depth=2, levels=3, codes=8, code_width=16, dropout=0.0)
    ours, plain = ResidualVQVAE(config, 263).eval(), a_tokeniser().eval()
    for part in ("encoder", "decoder"):
        pairs = zip(getattr(plain, part).parameters(), getattr(ours, part).parameters(), strict=True)
        for theirs, own in pairs:
            theirs.data.copy_(own)
    motion = torch.randn(2, 24, 263)
    latents = plain.encoder(motion.permute(0, 2, 1)).permute(0, 2, 1)
    torch.testing.assert_close(latents, ours.encoder(motion))
    torch.testing.assert_close(plain.decoder(latents.permute(0, 2, 1)).permute(0, 2, 1), ours.decoder(latents))
    # Codes far apart: noise at temperature 0.5 changes nothing, and both take the nearest.
    for level, layer in enumerate(ours.quantizer.layers):
        layer.codebook.copy_(100 * torch.randn(8, 16))
        plain.sums[level].copy_(layer.codebook)
    given = ours.quantizer.layers[0].codebook[[3, 5, 5, 1]]
    found = plain._level(0, given[None], torch.Generator().manual_seed(0))
    torch.testing.assert_close(found[0], given)


def test_a_plain_training_step_of_the_tokeniser_learns():
    torch.manual_seed(0)
    trainer = PlainTokeniserTrainer(a_tokeniser(dropout=0.2), torch.zeros(263), torch.ones(263))
    wave = torch.sin(torch.arange(64)[None, :, None] / 5 + torch.arange(4)[:, None, None]).expand(4, 64, 263)
    batch = Batch(Motion(wave.contiguous(), torch.tensor([64] * 4)), list("abcd"), torch.eye(4, 8), list("abcd"))
    for group in trainer.optimizer.param_groups:
        group["lr"] = 3e-3
    losses = [trainer.step(batch, number) for number in range(60)]
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])


def test_the_most_memory_of_a_side_is_what_it_held_at_once():
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("this system does not tell a process's most memory")
    held = {"nothing": lambda _: None, "200 MiB": lambda _: torch.ones(50 * 2**20).sum()}
    found = measure("memory", held, rounds=2, show=False, memory=True).times
    assert 180 < min(found["200 MiB"].peak) - max(found["nothing"].peak) < 320
    assert not measure("memory", held, rounds=1, show=False).times["nothing"].peak


def test_mining_alone_sees_every_motion_and_its_gradient():
    torch.manual_seed(0)
    motion = Motion(torch.randn(6, 60, 263, requires_grad=True), torch.full((6,), 60))
    real = Motion(torch.randn(6, 60, 263), motion.lengths)
    batch = Batch(real, [f"caption {number}" for number in range(6)], torch.eye(6, 8), list("abcdef"))
    config = AlignmentConfig(inter_weight=1.0, intra_weight=1.0, gamma=1.0)
    found = Alignment(config, Coarse(torch.randn(6, 16)))(motion, batch)
    found.total.backward()
    assert found.inter > 0 and found.intra > 0 and motion.features.grad[:, 0, :16].abs().sum() > 0


def test_the_usual_metrics_are_ours():
    rng = np.random.default_rng(0)
    text = rng.standard_normal((128, 6))
    motion = text + 0.6 * rng.standard_normal((128, 6))
    np.testing.assert_allclose(plain_r_precision(text, motion), r_precision(text, motion))
    assert plain_fid(text, motion) == pytest.approx(fid(text, motion), rel=1e-6)
