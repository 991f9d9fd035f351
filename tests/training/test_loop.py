"""What the training loop promises: nothing is lost, nothing depends on when it was stopped, faults are named."""

import math
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toys import Bench, StillPose, Wrapped, losses, still_pose, toy_alignment, weights

from atm.base.errors import InputError
from atm.base.storage import find_model
from atm.motion import Motion
from atm.training.distributed import has_bf16_units, resolved_precision
from atm.training.loop import BAD_STEPS_LIMIT
from atm.training.step import Trainer


@pytest.fixture
def bench(tmp_path) -> Bench:
    return Bench(tmp_path)


def interrupt_at(step: int):
    """Ctrl-C while the batch of this step is drawn, one step ahead of the loop."""

    def before(now, _batch):
        if now == step:
            os.kill(os.getpid(), signal.SIGINT)

    return before


def assert_same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name


@pytest.mark.parametrize(
    ("aligned", "log_every"), [(None, 1), ({}, 1), ({}, 3), ({"inter_loss": "triplet"}, 1)],
    ids=["baseline", "aligned", "sparse log", "random negatives"],
)  # fmt: skip
def test_a_stopped_and_resumed_run_equals_one_that_was_never_stopped(bench, aligned, log_every):
    """To the bit: dropout, noise, batches, optimiser, learning rate, moving average, and the lines of the log."""
    config = bench.config(
        ema=0.9, weight_decay=0.01, warmup_steps=3, gradient_clip=1.0, log_every=log_every,
        milestones=(2,), cosine_to=0.1, betas=(0.9, 0.99),
    )  # fmt: skip

    def alignment():
        return None if aligned is None else toy_alignment(**aligned)

    bench.run("whole", config, alignment=alignment())
    stopper = Wrapped(bench.sampler(config), interrupt_at(4))
    stopped = bench.run("halves", config, alignment=alignment(), sampler=stopper)
    assert stopped.interrupted and 3 <= stopped.step < config.steps and not stopped.finished
    assert bench.run("halves", config, alignment=alignment(), resume=True, model=still_pose(5)).finished

    whole, halves = bench.at("whole"), bench.at("halves")
    assert losses(whole) == losses(halves)
    assert len(losses(whole)) == config.steps // log_every
    assert_same(weights(whole), weights(halves))


def test_both_arms_of_one_seed_see_the_same_batches_and_the_losses_change_the_weights(bench):
    config, seen = bench.config(), {"baseline": [], "aligned": []}
    for arm, alignment in (("baseline", None), ("aligned", toy_alignment())):

        def note(step, batch, arm=arm):
            seen[arm].append((step, batch.ids, batch.text, batch.motion.features.sum().item()))

        bench.run(arm, config, alignment=alignment, sampler=Wrapped(bench.sampler(config), note))
    assert seen["baseline"] == seen["aligned"]
    baseline, aligned = bench.at("baseline"), bench.at("aligned")
    assert losses(baseline)[0]["loss"] == losses(aligned)[0]["loss"], "the first step starts from the same weights"
    assert not torch.equal(weights(baseline)["to_pose.weight"], weights(aligned)["to_pose.weight"])


def test_a_run_of_another_seed_is_another_run(bench):
    for seed in (0, 1):
        bench.run(str(seed), bench.config(seed=seed, steps=1))
    assert losses(bench.at("0")) != losses(bench.at("1"))


def test_the_time_budget_stops_a_run_and_leaves_a_model(bench):
    outcome = bench.run("short", bench.config(steps=10**6, log_every=10**5), minutes=0.5 / 60)
    assert 0 < outcome.step < 10**6
    assert not outcome.interrupted
    assert find_model(bench.at("short").path).is_file()
    assert bench.at("short").read_record()["step"] == outcome.step


def test_a_clip_without_a_finite_loss_costs_its_step_and_is_counted_and_named(bench):
    bad = bench.dataset.items[0].id

    def poison(_step, batch):
        rows = torch.tensor([clip == bad for clip in batch.ids])[:, None, None]
        features = batch.motion.features.masked_fill(rows, math.nan)
        return replace(batch, motion=Motion(features, batch.motion.lengths))

    config = bench.config(steps=9)  # 12 clips, 4 per step: each clip comes once in 3 steps
    with pytest.warns(UserWarning, match=f"step skipped.*{bad}"):
        assert bench.run("one", config, sampler=Wrapped(bench.sampler(config), poison)).finished
    run = bench.at("one")
    assert run.read_record()["skipped_rows"] == {bad: 3}
    assert sum("loss" in line for line in losses(run)) == 6
    assert all(torch.isfinite(value).all() for value in weights(run).values())


def test_a_gradient_that_is_not_finite_does_not_reach_the_weights(bench):
    class Cliff(torch.nn.Module):
        """sqrt at 0: the loss is 0, its gradient infinite."""

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def training_step(self, batch, rng):
            from atm.interface import StepOutput

            return StepOutput(self.weight.abs().sqrt().expand(len(batch)))

    with pytest.warns(UserWarning, match="step skipped"):
        bench.run("cliff", bench.config(steps=2), model=Cliff())
    assert weights(bench.at("cliff"))["weight"] == 0


def test_twenty_bad_steps_in_a_row_end_the_run_with_one_sentence(bench):
    def poison(_step, batch):
        return replace(batch, motion=Motion(batch.motion.features * math.nan, batch.motion.lengths))

    config = bench.config(steps=100)
    sentence = f"in {BAD_STEPS_LIMIT} steps in a row, up to step 20: lower"
    with pytest.warns(UserWarning), pytest.raises(InputError, match=sentence) as caught:
        bench.run("bad", config, sampler=Wrapped(bench.sampler(config), poison))
    assert "\n" not in str(caught.value)


def test_a_run_that_gave_up_gives_up_again(bench):
    """It leaves no checkpoint of its bad steps: it goes on from the last good one, and comes to the same end."""

    def poison(step, batch):
        if step >= 3:
            return replace(batch, motion=Motion(batch.motion.features * math.nan, batch.motion.lengths))
        return batch

    config = bench.config(steps=100, checkpoint_every=3)
    for resume in (False, True):
        with pytest.warns(UserWarning), pytest.raises(InputError, match="no finite loss or gradient in 20 steps"):
            bench.run("bad", config, sampler=Wrapped(bench.sampler(config), poison), resume=resume)
        saved = torch.load(bench.at("bad").checkpoint, weights_only=True)
        assert (saved["step"], saved["bad_in_a_row"]) == (3, 0)
        assert all(torch.isfinite(value).all() for value in weights(bench.at("bad")).values())


def test_bad_steps_before_a_stop_count_after_it(bench):
    def poison(step, batch):
        if step == 10:
            os.kill(os.getpid(), signal.SIGTERM)
        return replace(batch, motion=Motion(batch.motion.features * math.nan, batch.motion.lengths))

    config = bench.config(steps=100)
    with pytest.warns(UserWarning):
        stopped = bench.run("bad", config, sampler=Wrapped(bench.sampler(config), poison))
    assert stopped.interrupted and stopped.signal == signal.SIGTERM
    sentence = f"in {BAD_STEPS_LIMIT} steps in a row, up to step {BAD_STEPS_LIMIT}:"
    with pytest.warns(UserWarning), pytest.raises(InputError, match=sentence):
        bench.run(
            "bad", config, sampler=Wrapped(bench.sampler(config), lambda step, batch: poison(-1, batch)), resume=True
        )


def test_keep_best_keeps_the_weights_of_the_lowest_validation_loss(bench):
    """The learning rate is so high that the loss goes up and down; a run that ends at the lowest has its weights."""
    config = bench.config(keep="best", validate_every=2, steps=8, learning_rate=5.0)
    bench.run("best", config, validation=bench.sampler(config, "val"))
    found = {line["step"]: line["validation_loss"] for line in losses(bench.at("best")) if "validation_loss" in line}
    assert list(found) == [2, 4, 6, 8]
    lowest = min(found, key=found.get)
    assert lowest != 8, "else the last weights would pass, too"
    bench.run("as long", bench.config(steps=lowest, learning_rate=5.0))
    assert_same(weights(bench.at("best")), weights(bench.at("as long")))


def test_keep_best_leaves_the_last_weights_where_nothing_was_measured_yet(bench):
    config = bench.config(keep="best", validate_every=100, steps=4, checkpoint_every=2)
    bench.run("best", config, validation=bench.sampler(config, "val"))
    bench.run("last", bench.config(steps=4))
    assert_same(weights(bench.at("best")), weights(bench.at("last")))


def test_validation_does_not_change_the_run(bench):
    config = bench.config(validate_every=2, ema=0.9)
    bench.run("with", config, validation=bench.sampler(config, "val"))
    bench.run("without", bench.config(ema=0.9))
    assert_same(weights(bench.at("with")), weights(bench.at("without")))


def test_the_model_of_a_run_with_moving_average_is_the_average(bench):
    bench.run("average", bench.config(ema=0.9))
    saved = torch.load(bench.at("average").checkpoint, weights_only=True)
    found = weights(bench.at("average"))
    for name, value in saved["average"].items():
        assert torch.equal(found[name], value)
        assert not torch.equal(found[name], saved["model"][name])


def test_the_log_of_an_aligned_run_says_how_the_losses_act(bench):
    bench.run("aligned", bench.config(steps=1, gradient_log_every=1), alignment=toy_alignment())
    line = losses(bench.at("aligned"))[0]
    shares = ["inter/active", "intra/active", "intra/under_gamma", "inter/admissible", "inter/without_negative"]
    quantiles = [
        f"{name}/p{share}"
        for name in ("inter/ratio", "inter/margin", "inter/distance_to_text", "intra/clip_distance")
        for share in (10, 50, 90)
    ]
    assert {f"alignment/{name}" for name in shares + quantiles} <= line.keys()
    assert {"gradient/own", "gradient/alignment", "gradient/ratio", "loss", "total", "gradient_norm"} <= line.keys()
    weighted = line["alignment/inter/loss"] + line["alignment/intra/loss"]  # both weights are 1
    assert line["total"] == pytest.approx(line["loss"] + weighted, rel=1e-5)
    assert line["gradient/ratio"] == pytest.approx(line["gradient/alignment"] / line["gradient/own"])


def test_losses_on_every_third_step_act_there_three_times_as_much_and_not_elsewhere(bench):
    config = bench.config(steps=6)
    batch = bench.sampler(config)(0)
    always, third = (Trainer(config, still_pose(), toy_alignment(every=every)) for every in (1, 3))
    for number in range(6):
        own = third.forward(batch, number)
        if number % 3:
            assert own.aligned is None and torch.equal(own.loss, own.step.loss.mean())
        else:
            whole = always.forward(batch, number)
            torch.testing.assert_close(own.loss - own.step.loss.mean(), 3 * (whole.loss - whole.step.loss.mean()))


def test_the_log_says_how_losses_act_that_act_on_every_third_step(bench):
    config = bench.config(steps=10, log_every=5, gradient_log_every=4)
    bench.run("third", config, alignment=toy_alignment(every=3))
    lines = bench.at("third").read_metrics()
    assert all("alignment/inter/loss" in line and "gradient/ratio" in line for line in lines)
    bench.run("ninth", config, alignment=toy_alignment(every=9))
    assert ["alignment/inter/loss" in line for line in bench.at("ninth").read_metrics()] == [True, True]
    assert ["gradient/ratio" in line for line in bench.at("ninth").read_metrics()] == [True, True]
    bench.run("hundredth", config, alignment=toy_alignment(every=100))
    assert ["alignment/inter/loss" in line for line in bench.at("hundredth").read_metrics()] == [True, False]


def test_alignment_that_dwarfs_the_own_loss_is_warned_of_once(bench, recwarn):
    config = bench.config(steps=3, gradient_log_every=1)
    bench.run("huge", config, alignment=toy_alignment(inter_weight=1e4, intra_weight=1e4))
    said = [str(warning.message) for warning in recwarn if "times that of the model's own loss" in str(warning.message)]
    assert len(said) == 1
    assert "lower alignment.inter.weight" in said[0]
    recwarn.clear()
    bench.run("small", config, alignment=toy_alignment(inter_weight=1e-4, intra_weight=1e-4))
    assert not [warning for warning in recwarn if "own loss" in str(warning.message)]


def test_measuring_the_gradients_does_not_change_the_run(bench):
    for name, every in (("measured", 1), ("not", 0)):
        bench.run(name, bench.config(gradient_log_every=every), alignment=toy_alignment())
    assert_same(weights(bench.at("measured")), weights(bench.at("not")))


def test_alignment_of_a_model_that_gives_no_motion_is_refused(bench):
    class Silent(torch.nn.Linear):
        def training_step(self, batch, rng):
            from atm.interface import StepOutput

            return StepOutput(self(batch.sentence)[:, 0])

    with pytest.raises(InputError, match="need a motion"):
        bench.run("silent", bench.config(), model=Silent(8, 1), alignment=toy_alignment())


class Watched(StillPose):
    """Looks from inside its training step at what arithmetic it is computed with."""

    def __init__(self):
        super().__init__()
        self.seen: set[tuple[bool, torch.dtype]] = set()

    def training_step(self, batch, rng):
        self.seen.add((torch.is_autocast_enabled("cpu"), self.hidden(batch.sentence).dtype))
        return super().training_step(batch, rng)


@pytest.mark.parametrize(
    ("precision", "seen"), [("bf16-mixed", (True, torch.bfloat16)), ("32-true", (False, torch.float32))]
)
def test_the_precision_of_the_config_is_what_the_model_computes_with(bench, precision, seen):
    model = Watched()
    config = bench.config(precision=precision, validate_every=2)
    bench.run("run", config, model=model, validation=bench.sampler(config, "val"))
    assert model.seen == {seen}, "in training and in validation"
    assert all(value.dtype == torch.float32 for value in weights(bench.at("run")).values())


def test_mixed_precision_trains_and_aligns_in_single_precision(bench):
    alignment = toy_alignment()
    seen = []
    alignment.space.motion_encoder.register_forward_hook(
        lambda _module, _inputs, output: seen.append(torch.is_autocast_enabled("cpu"))
    )
    bench.run("half", bench.config(precision="bf16-mixed", gradient_clip=1.0), alignment=alignment)
    lines = losses(bench.at("half"))
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert seen and not any(seen)


@pytest.mark.parametrize(("units", "means"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_is_bf16_where_there_are_units_for_it(monkeypatch, units, means):
    monkeypatch.setattr("atm.training.distributed.has_bf16_units", lambda: units)
    assert resolved_precision("auto") == means
    assert resolved_precision("32-true") == "32-true" and resolved_precision("bf16-mixed") == "bf16-mixed"


@pytest.mark.parametrize(
    ("told", "units"), [({"avx512_bf16": True}, True), ({"avx2": True, "avx512_bf16": False}, False)]
)
def test_a_cpu_says_itself_whether_it_has_units_for_bf16(monkeypatch, told, units):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told)
    assert has_bf16_units() is units


def test_a_fault_while_drawing_a_batch_ends_the_run_as_itself(bench):
    def fail(step, _batch):
        if step == 2:
            raise InputError("clip 000002 is gone")

    config = bench.config()
    with pytest.raises(InputError, match="is gone"):
        bench.run("gone", config, sampler=Wrapped(bench.sampler(config), fail))


def test_ctrl_c_on_the_command_line_ends_whole_with_exit_code_130(tmp_path):
    """In a process of its own: the loop signals itself while it draws a batch, as the terminal would."""
    script = """
        import os, signal, sys
        import atm.cli
        from atm.data import batches

        draw = batches.BatchSampler.__call__

        def draw_and_interrupt(self, step):
            if step == 3:
                os.kill(os.getpid(), signal.SIGINT)
            return draw(self, step)

        batches.BatchSampler.__call__ = draw_and_interrupt
        atm.cli.main()
    """
    bench, run = Bench(tmp_path), tmp_path / "run"
    settings = ["steps=500", "batch_size=2", "model.width=16", "model.feed_forward=16", "model.layers=1"]
    command = [sys.executable, "-c", textwrap.dedent(script), "train", "mdm_small", f"data={bench.data}", *settings]
    done = subprocess.run([*command, "--out", str(run), "--quiet"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
    assert "of 500; go on with: atm train --resume" in done.stderr
    assert done.stdout.splitlines()[-1] == str(run)
    assert 2 <= torch.load(run / "checkpoints" / "last.pt", weights_only=True)["step"] < 10
    assert find_model(Path(run)).is_file()
