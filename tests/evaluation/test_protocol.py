"""The protocol: what it measures, that it resumes, and what it refuses."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console

from atm.apps.evaluate import oracles
from atm.base.errors import InputError
from atm.data.humanml3d import Caption
from atm.evaluation import (
    Entry,
    Evaluator,
    Multimodality,
    Report,
    evaluate,
    evaluate_folder,
    published_protocol,
    table,
)
from atm.evaluation.folder import read_motion
from atm.evaluation.presets import evaluator_small, trainable
from atm.evaluation.replication import Measured
from atm.evaluation.report import REAL, column_of
from atm.evaluation.weights import frozen
from atm.motion import HUMANML3D, Motion, joints_from_features
from atm.motion.anatomy import UNITS
from atm.motion.program import Action, Program
from atm.scripted.oracles import Check, Verdict

TINY = {"movement_width": 8, "motion_width": 8, "text_width": 8, "word_width": 6, "embedding": 5}
VERBS = ("walk", "jump", "run", "sit", "wave", "kick", "turn", "stand")


def some_entries(count: int = 40) -> list[Entry]:
    rng = np.random.default_rng(0)
    out = []
    for number in range(count):
        features = 0.1 * rng.standard_normal((40 + number % 9, 263)).astype(np.float32).cumsum(axis=0)
        words = (f"{VERBS[number % 8]}/VERB", f"{VERBS[number // 8]}/VERB")
        out.append(Entry(f"{number:06d}", features, (Caption(" ".join(words), words), Caption("a man", ("man/NOUN",)))))
    return out


def tiny_evaluator() -> Evaluator:
    torch.manual_seed(0)
    words = [list(caption.words) for entry in some_entries() for caption in entry.captions]
    return frozen(trainable(evaluator_small().model_copy(update=TINY), np.zeros(263), np.ones(263), words))


class Noise:
    """A generator that walks at random, and counts its calls."""

    def __init__(self, width: int = 263):
        self.width = width
        self.calls: list[tuple[list[str], list[int], list[int]]] = []

    def __call__(self, text: list[str], lengths: torch.Tensor, seeds: list[int]) -> Motion:
        self.calls.append((text, lengths.tolist(), seeds))
        rows = [torch.randn(60, self.width, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        return Motion(torch.stack(rows), lengths)


def run(generate, entries=None, *, repeats: int = 2, **settings) -> Report:
    entries = some_entries() if entries is None else entries
    return evaluate(generate, entries, tiny_evaluator(), repeats=repeats, show_progress=False, **settings)


def test_every_metric_stands_in_both_rows():
    report = run(Noise(), multimodality=Multimodality(texts=4, repeats=3, pairs=2))
    real, made = report.estimates(REAL), report.estimates("generated")
    assert set(made) - set(real) == {"multimodality"}
    assert {"r_precision_1", "fid", "mm_dist", "diversity", "kinematic_fid", "acceleration", "jerk"} <= set(real)
    assert made["jerk"].mean > real["jerk"].mean


def test_the_real_motions_as_a_generator_score_as_real_motions():
    """Returned at the drawn length from the first frame, they differ from the drawn crops by a few frames only."""
    by_text = {entry.captions[0].text: entry for entry in some_entries()}
    entries = [replace(entry, captions=entry.captions[:1]) for entry in some_entries()]

    def replay(text, lengths, seeds):
        rows = [torch.from_numpy(by_text[one].features[:40]) for one in text]
        padded = torch.zeros(len(rows), 60, 263)
        padded[:, :40] = torch.stack(rows)
        return Motion(padded, lengths.clamp(max=40))

    report = run(replay, entries=entries, repeats=4)
    real, made = report.estimates(REAL), report.estimates("generated")
    assert made["diversity"].mean == pytest.approx(real["diversity"].mean, rel=0.2)
    assert made["acceleration"].mean == pytest.approx(real["acceleration"].mean, rel=0.1)


def test_each_replication_generates_anew_in_batches_for_the_drawn_lengths():
    generate = Noise()
    run(generate, batch=20)
    assert [len(text) for text, _, _ in generate.calls] == [20, 12, 20, 12]
    assert all(length % 4 == 0 and 36 <= length <= 48 for _, lengths, _ in generate.calls for length in lengths)
    seeds = [seed for _, _, seeds in generate.calls for seed in seeds]
    assert len(set(seeds)) == len(seeds)


def test_the_same_seed_gives_the_same_report_and_another_seed_another():
    assert run(Noise()) == run(Noise())
    assert run(Noise()).replications != run(Noise(), seed=1).replications


def test_an_interrupted_evaluation_goes_on_and_ends_as_if_it_had_not_been(tmp_path):
    path = tmp_path / "evaluation.json"
    run(Noise(), repeats=1, path=path)
    generate = Noise()
    resumed = run(generate, repeats=3, path=path)
    assert len(generate.calls) == 2
    assert resumed == run(Noise(), repeats=3)
    assert Report.read(path) == resumed
    assert json.loads(path.read_text())["summary"][REAL]["fid"]["mean"] == resumed.estimates(REAL)["fid"].mean


def test_an_evaluation_with_other_settings_starts_anew_and_keeps_the_old_file(tmp_path):
    path = tmp_path / "evaluation.json"
    first = run(Noise(), path=path, repeats=1)
    second = run(Noise(), path=path, repeats=1, model="other weights")
    assert Report.read(path) == second
    assert Report.read(tmp_path / "evaluation.old.json") == first


def test_frames_behind_the_end_count_only_in_the_published_way():
    def tailed(text, lengths, seeds):
        motion = Noise()(text, lengths, seeds)
        motion.features[~motion.mask] += 9
        return motion

    zeroed, published = ("r_precision_1", "fid", "mm_dist", "kinematic_fid"), ("fid", "mm_dist")
    plain, with_tail = run(Noise(), repeats=1), run(tailed, repeats=1)
    assert all(plain.estimates("generated")[name] == with_tail.estimates("generated")[name] for name in zeroed)
    plain, with_tail = run(Noise(), repeats=1, tail="published"), run(tailed, repeats=1, tail="published")
    assert all(plain.estimates("generated")[name] != with_tail.estimates("generated")[name] for name in published)
    assert "as in published numbers" in " ".join(with_tail.notes)


def test_scripted_motions_get_oracle_scores():
    program = Program((Action("stand", seconds=2.0),))
    entries = [replace(entry, program=program.to_json()) for entry in some_entries()]
    report = run(Noise(), entries=entries, repeats=1, judge=oracles())
    assert 0 <= report.estimates("generated")["oracle_all"].mean <= 1
    assert "oracle_all" in report.estimates(REAL)


def test_clips_that_were_held_out_of_training_have_their_scores_apart():
    """Each with what the caption says first, and then with all of the program, which is wrong here throughout."""
    more = Check("side", "jump", "left", "right", False)
    right, wrong = (
        (Verdict((check,)), Verdict((check, more)), [check.right, True])
        for check in (Check("count", "jump", 3, made, made == 3) for made in (3, 4))
    )
    scores = Measured(
        verdicts=[right, wrong, wrong, right], held_out=[False, True, True, False], judged_by=oracles()
    ).oracles()
    assert scores == {
        "oracle_count": 0.5,
        "oracle_all": 0.5,
        "oracle_program": 0.0,
        "oracle_part": 0.75,
        "oracle_count_held_out": 0.0,
        "oracle_all_held_out": 0.0,
        "oracle_program_held_out": 0.0,
        "oracle_part_held_out": 0.5,
    }
    assert set(Measured(verdicts=[right], held_out=[False], judged_by=oracles()).oracles()) == {
        "oracle_count",
        "oracle_all",
        "oracle_program",
        "oracle_part",
    }


def test_sequences_are_asked_if_each_action_is_done_in_its_part():
    two = [action | {"begin": k, "end": k + 1} for k, action in enumerate([{"verb": "stand", "seconds": 1.0}] * 2)]
    one, untimed = two[:1], [{"verb": "stand", "seconds": 1.0}] * 2
    for program, asked in ((two, True), (one, False), (untimed, False)):
        entries = [replace(entry, program=program) for entry in some_entries()]
        assert ("oracle_part" in run(Noise(), entries=entries, repeats=1, judge=oracles()).estimates(REAL)) is asked
    assert column_of("oracle_program").title == "as asked: all, said or not"
    assert column_of("oracle_count_held_out").title == "as asked: count, held out"


def test_what_cannot_be_measured_is_refused_in_a_sentence():
    with pytest.raises(InputError, match="at least 32 motions, got 31"):
        run(Noise(), entries=some_entries(31))
    with pytest.raises(InputError, match="expected 32 motions of 263 features per frame, got 32 of 251"):
        run(Noise(width=251))
    with pytest.raises(InputError, match="at least 1 replication, got 0"):
        run(Noise(), repeats=0)

    def broken(text, lengths, seeds):
        motion = Noise()(text, lengths, seeds)
        motion.features[0, 0, 0] = torch.nan
        return motion

    with pytest.raises(InputError, match="holds NaN"):
        run(broken)


def test_a_table_has_a_column_for_each_model_and_says_that_it_is_short():
    reports = [run(Noise(), name=name) for name in ("baseline", "aligned")]
    console = Console(width=200, file=io.StringIO())
    console.print(table(reports))
    text = console.file.getvalue()
    assert "SHORT PROTOCOL" in text
    for word in ("real motions", "baseline", "aligned", "R-Precision top 1 ↑", "kinematic FID ↓", "±"):
        assert word in text


def test_models_that_were_evaluated_differently_do_not_share_a_table():
    reports = [run(Noise(), name="one", repeats=1), run(Noise(), name="other", repeats=1, tail="published")]
    with pytest.raises(InputError, match="one and other were evaluated with different tail"):
        table(reports)


def test_the_published_protocol_is_the_systems_own_and_the_report_says_so():
    """40 entries are one batch of 32, less than MDM's 1,000 motions and 128 texts."""
    protocol = published_protocol("mdm").model_copy(
        update={"multimodality": Multimodality(texts=4, repeats=3, pairs=2)}
    )
    report = run(Noise(), repeats=1, multimodality=Multimodality(), published=protocol, samples=7)
    assert report.protocol.rules == "published" and report.protocol.tail == "published"
    assert report.protocol.samples == 32 and report.protocol.multimodality == protocol.multimodality
    assert any(note.startswith("published protocol, as of MDM: ") for note in report.notes)
    assert run(Noise(), repeats=1, published=protocol).protocol.multimodality is None
    with pytest.raises(InputError, match="evaluated with different rules"):
        table([report, run(Noise(), name="other", repeats=1)])


def test_the_published_protocol_takes_entries_by_length_whatever_their_order():
    entries = [
        Entry(f"{n:03d}", entry.features[: 40 + n % 4], entry.captions) for n, entry in enumerate(some_entries())
    ]
    shuffled = sorted(entries, key=lambda entry: entry.id[::-1])
    by_length = sorted(shuffled, key=lambda entry: len(entry.features))
    guo = published_protocol("mld")
    assert run(Noise(), shuffled, repeats=1, published=guo) == run(Noise(), by_length, repeats=1, published=guo)


@pytest.mark.parametrize(("system", "samples", "texts"), [("mdm", 1000, 128), ("momask", None, 96), ("mld", None, 100)])
def test_each_system_has_its_own_pool_and_number_of_texts(system, samples, texts):
    """Whole batches of 32: 100 // 32 + 1 = 4 batches of MDM, 3 of MoMask. Of others nothing is known, which is said."""
    protocol = published_protocol(system)
    how = protocol.multimodality
    assert (protocol.samples, how.texts, how.repeats, how.pairs) == (samples, texts, 30, 10)
    assert ("not known" in protocol.note) == (system == "mld")


def test_a_report_of_before_says_nothing_of_rules_and_is_ours(tmp_path):
    run(Noise(), repeats=1, path=tmp_path / "evaluation.json")
    old = json.loads((tmp_path / "evaluation.json").read_text())
    del old["protocol"]["rules"]
    (tmp_path / "evaluation.json").write_text(json.dumps(old))
    generate = Noise()
    assert run(generate, repeats=1, path=tmp_path / "evaluation.json").protocol.rules == "ours"
    assert not generate.calls


def test_a_file_that_is_no_evaluation_is_named(tmp_path):
    (tmp_path / "evaluation.json").write_text("{}")
    with pytest.raises(InputError, match=r"cannot read the evaluation .*evaluation\.json"):
        Report.read(tmp_path / "evaluation.json")


@pytest.fixture
def folder(tmp_path):
    for entry in some_entries():
        np.save(tmp_path / f"{entry.id}.npy", entry.features)
    return tmp_path


def run_folder(folder, **changes) -> Report:
    return evaluate_folder(folder, some_entries(), tiny_evaluator(), repeats=1, show_progress=False, **changes)


def test_a_folder_of_features_is_evaluated_and_missing_ids_are_listed(folder):
    (folder / "000003.npy").unlink()
    report = run_folder(folder)
    assert report.protocol.samples == 32
    assert any("1 of 40 ids" in note and "000003" in note for note in report.notes)


def test_a_folder_may_hold_joints_and_texts(folder):
    entry = some_entries()[5]
    features = torch.zeros(41, 263)
    features[:, 3] = 0.9
    features[:, HUMANML3D.columns["positions"]] = STANDING.flatten()
    joints = joints_from_features(features, HUMANML3D).numpy()
    np.savez(folder / f"{entry.id}.npz", joints=joints, text="a man")
    assert run_folder(folder).protocol.samples == 32
    np.savez(folder / f"{entry.id}.npz", joints=joints, text="something else")
    with pytest.raises(InputError, match="'something else' is no caption of this entry"):
        run_folder(folder)


@pytest.mark.parametrize("unit", ["metres", "centimetres"])
def test_joints_of_a_folder_are_read_by_the_size_of_the_body(folder, walk, unit):
    """Taken for metres, a body in centimetres would be as large as a tower."""
    np.save(folder / "000005.npy", walk)
    plain = read_motion(folder / "000005.npy", HUMANML3D)
    np.save(folder / "000005.npy", walk / UNITS[unit])
    found = read_motion(folder / "000005.npy", HUMANML3D)
    np.testing.assert_allclose(found.features, plain.features, atol=1e-3)
    assert found.doubt == ("" if unit == "metres" else f"is in {unit}, as the size of the body says: taken so")


def test_joints_of_a_folder_are_brought_to_the_frame_rate_of_the_data(folder, walk):
    """Each frame three times: at 60 per second, every third of them is a frame at 20."""
    np.savez(folder / "000005.npz", joints=np.repeat(walk, 3, axis=0)[:-2], fps=60.0)
    np.savez(folder / "000006.npz", joints=walk)
    found, plain = (read_motion(folder / f"{name}.npz", HUMANML3D).features for name in ("000005", "000006"))
    np.testing.assert_allclose(found, plain, atol=2e-4)
    np.savez(folder / "000005.npz", features=plain, fps=60.0)
    with pytest.raises(InputError, match="its features are of 60 frames per second, expected 20"):
        read_motion(folder / "000005.npz", HUMANML3D)


def test_motions_that_can_hardly_be_a_persons_are_warned_of(folder):
    np.save(folder / "000005.npy", np.random.default_rng(0).normal(size=(40, 263)).astype(np.float32))
    with pytest.warns(UserWarning, match=r"of .* are doubtful: 00000\d (holds|has)"):
        run_folder(folder)
    assert "normalised features" in read_motion(folder / "000005.npy", HUMANML3D).doubt


STANDING = HUMANML3D.target_offsets[1:].clone()
for joint in HUMANML3D.outward:
    if HUMANML3D.parents[joint] > 0:
        STANDING[joint - 1] += STANDING[HUMANML3D.parents[joint] - 1]
STANDING[:, 1] += 0.9


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((40, 251), np.float32), r"expected HumanML3D features \(frames, 263\)"),
        (np.full((40, 263), np.nan, np.float32), "holds NaN"),
        (np.zeros((5, 263), np.float32), "has 5 frames"),
        (np.zeros((40,), np.float32), r"got shape \(40,\)"),
    ],
)
def test_a_file_that_cannot_be_evaluated_is_named(folder, array, message):
    np.save(folder / "000007.npy", array)
    with pytest.raises(InputError, match=message) as error:
        run_folder(folder)
    assert "000007" in str(error.value)


def test_a_folder_without_motions_of_the_split_is_refused(tmp_path):
    with pytest.raises(InputError, match="no motion of this split"):
        run_folder(tmp_path)
    (tmp_path / "000001.npy").write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot read the motion"):
        run_folder(tmp_path)
    with pytest.raises(InputError, match="expected a folder of motions"):
        run_folder(tmp_path / "absent")
