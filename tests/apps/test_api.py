"""The project in Python: `import atm`, a model, a motion, and what can be done with it."""

import html
import re
import subprocess
import sys
import webbrowser

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

import atm
from atm.motion import HUMANML3D, bone_stretch
from atm.motion.program import Action, Program, TimedAction
from atm.scripted.motion.perform import perform

WALK, SIT = "a person walks forward", "a person sits down"


@pytest.fixture(scope="module")
def kick() -> atm.Take:
    program = Program((Action("kick", 2, side="left"),))
    return atm.Take(perform(program, np.random.default_rng(0)), "a person kicks twice with the left leg")


def test_importing_atm_costs_little_and_imports_nothing_heavy():
    """The least of three, since a busy machine only ever adds."""
    code = (
        "import sys, time; start = time.process_time(); import atm; dir(atm); spent = time.process_time() - start; "
        "print(spent, *sorted({'torch', 'numpy', 'scipy', 'pydantic', 'typer'} & set(sys.modules)))"
    )
    said = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(3)
    ]
    assert min(float(words[0]) for words in said) < 0.1
    assert {word for words in said for word in words[1:]} == set()


def test_dir_tells_all_and_all_is_there():
    for name in dir(atm):
        assert getattr(atm, name) is not None
    assert {"load", "load_motion", "load_space", "similarity", "evaluate", "__version__"} <= set(dir(atm))
    with pytest.raises(AttributeError, match="has no attribute 'laod': it has InputError, .*load"):
        _ = atm.laod


def test_one_sentence_is_a_motion_and_several_are_a_list(model):
    one = model.generate(WALK, seconds=2, seed=5)
    assert (one.joints.shape, one.text, one.seconds, one.fps) == ((40, 22, 3), WALK, 2.0, 20.0)
    many = model.generate([WALK, SIT], seconds=[2, 1], samples=2, seed=5)
    assert [(take.text, take.seconds, take.provenance["sample"]) for take in many] == [
        (WALK, 2.0, 0), (WALK, 2.0, 1), (SIT, 1.0, 0), (SIT, 1.0, 1),
    ]  # fmt: skip
    np.testing.assert_allclose(many[0].joints, one.joints, atol=1e-4)
    assert np.abs(many[1].joints - one.joints).max() > 0.01
    assert len(model.generate(WALK, seconds=1, samples=2)) == 2


def test_bones_hold_unless_the_motion_shall_be_raw(model):
    held, raw = (model.generate(WALK, seconds=2, raw=raw) for raw in (False, True))
    stretch = [bone_stretch(torch.from_numpy(take.joints), HUMANML3D) for take in (held, raw)]
    assert stretch[0] < 1e-4 < 1 < stretch[1]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"text": []}, "no sentence: expected one"),
        ({"text": " "}, "the sentence is empty"),
        ({"text": WALK, "seconds": 60}, "seconds must be 0.5 to 9.8 for this model, got 60"),
        ({"text": [WALK, SIT], "seconds": [1]}, "one for each sentence: 2, got 1"),
        ({"text": WALK, "samples": 0}, "samples must be at least 1, got 0"),
        ({"text": WALK, "steps": 5}, "steps must be 1 to 4 for this model, got 5"),
        ({"text": WALK, "steps": 0}, "steps must be 1 to 4 for this model, got 0"),
    ],
)
def test_what_cannot_be_made_is_refused(model, asked, said):
    with pytest.raises(atm.InputError, match=said):
        model.generate(**asked)


def test_rotations_put_the_joints_back_where_they_are(kick):
    """Forward kinematics written out here: each bone of the rest pose, turned by all joints above it."""
    turns: dict[int, Rotation] = {}
    places = np.zeros_like(kick.joints)
    for joint in (0, *HUMANML3D.outward):
        above = HUMANML3D.parents[joint]
        own = Rotation.from_quat(kick.rotations[:, joint], scalar_first=True)
        turns[joint] = own if above < 0 else turns[above] * own
        places[:, joint] = (
            kick.joints[:, 0] if above < 0 else places[:, above] + turns[above].apply(kick.rig.offsets[joint])
        )
    assert np.abs(places - kick.joints).max() < 1e-3


def test_contacts_say_which_foot_stands(kick):
    """Who kicks with the left leg stands on the right one all the time, and on the left one before and after."""
    left, right = kick.contacts.T
    assert right.mean() > 0.95 and left[:3].all() and 0.1 < left.mean() < 0.9


def test_a_slice_is_in_seconds(kick):
    part = kick[0.5:1.0]
    np.testing.assert_array_equal(part.joints, kick.joints[10:20])
    assert (part.seconds, part.text) == (0.5, kick.text)
    np.testing.assert_array_equal(kick[-0.5:].joints, kick.joints[-10:])
    for wrong in (3, slice(0, 1, 2), slice(100, None)):
        with pytest.raises(atm.InputError, match="slice of seconds|has no frame in"):
            kick[wrong]


def test_the_verdict_is_that_of_the_oracles(kick):
    assert kick.verdict == "✓ 2 kicks with the left foot"
    assert atm.Take(kick.joints, "a person kicks once").verdict.startswith("✗ asked 1 kick, made 2")
    assert atm.Take(kick.joints, "somebody ponders").verdict is None


def test_a_motion_is_saved_and_comes_back(model, tmp_path):
    take = model.generate(WALK, seconds=1)
    again = atm.load_motion(take.save(tmp_path / "new" / "walk.npz"))
    assert (again.text, again.provenance) == (WALK, take.provenance)
    np.testing.assert_allclose(again.joints, take.joints, atol=1e-6)
    np.testing.assert_allclose(again.features, take.features, atol=1e-6)
    bvh = take.save(tmp_path / "walk.bvh", names="mixamo", unit="cm", fps=30, up="z").read_text()
    assert "ROOT mixamorigHips" in bvh and "Frame Time: 0.03333333" in bvh
    with pytest.raises(atm.InputError, match="unknown output suffix '.obj'"):
        take.save(tmp_path / "walk.obj")


def test_a_motion_opens_in_the_browser(kick, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    page = kick.show(tmp_path / "kick.html")
    assert opened == [page.as_uri()] and "motion-view" in page.read_text()
    assert kick.show().name == "motion.html"


def test_a_notebook_gets_the_page_in_a_frame_and_no_sentence_breaks_out_of_it(kick):
    take = atm.Take(kick.joints, 'kicks "><script>alert(1)</script>')
    frame = take._repr_html_()
    assert re.fullmatch(r'<iframe srcdoc="[^"<]*" style="[^"]*"></iframe>', frame)
    page = html.unescape(re.search(r'srcdoc="([^"]*)"', frame).group(1))
    assert page.startswith("<!doctype html>") and "<script>alert" not in page


def test_nothing_is_loaded_from_nowhere(tmp_path):
    with pytest.raises(atm.InputError, match="no model at nowhere"):
        atm.load("nowhere")
    with pytest.raises(atm.InputError, match="is no folder of save_pretrained"):
        atm.TextToMotion.from_pretrained(tmp_path)
    with pytest.raises(atm.InputError, match="holds a model of kind 'generator'"):
        atm.load_space("generator")


def test_a_sentence_is_nearer_to_its_own_motion(kick):
    program = Program((Action("sit_down"),))
    sit = atm.Take(perform(program, np.random.default_rng(1)), SIT)
    space = atm.load_space("space_meaning")
    cosines = atm.similarity([kick.text, SIT], [kick, sit], space=space)
    assert cosines.shape == (2, 2) and cosines[0, 0] > cosines[0, 1] and cosines[1, 1] > cosines[1, 0]
    np.testing.assert_allclose(atm.similarity(SIT, sit, space=space), cosines[1:, 1:], atol=1e-5)
    with pytest.raises(atm.InputError, match="expected a sentence and a motion"):
        atm.similarity([], [kick], space=space)


def test_a_sequence_and_an_edit_take_steps_and_refuse_those_that_the_model_has_not(model, going_on):
    parts = [(WALK, 1), (SIT, 1)]
    one, own = (going_on.sequence(parts, steps=steps) for steps in (1, None))
    assert np.abs(one.joints - own.joints).max() > 1e-4
    whole = model.generate(WALK, seconds=2)
    one, own = (model.edit(whole, SIT, keep=[(0, 1)], steps=steps) for steps in (1, None))
    assert np.abs(one.joints - own.joints).max() > 1e-4
    with pytest.raises(atm.InputError, match="steps must be 1 to 100 for this model, got 101"):
        going_on.sequence(parts, steps=101)
    with pytest.raises(atm.InputError, match="steps must be 1 to 4 for this model, got 0"):
        model.edit(whole, SIT, keep=[(0, 1)], steps=0)


def test_a_sequence_is_one_motion_whose_parts_go_on_from_one_another(going_on, monkeypatch):
    """Each part is sampled with all that came before as its prefix, and stands behind it in the whole."""
    asked, made, sample = [], [], going_on.generator.sample

    def spy(text, lengths, *, prefix, **options):
        motion = sample(text, lengths, prefix=prefix, **options)
        asked.append((text, int(lengths), prefix))
        made.append(motion.features[0, : int(lengths)])
        return motion

    monkeypatch.setattr(going_on.generator, "sample", spy)
    whole = going_on.sequence([(WALK, 1.5), (SIT, 1), (WALK, 2)], seed=3, raw=True)
    assert [(text, frames) for text, frames, _ in asked] == [([WALK], 30), ([SIT], 20), ([WALK], 40)]
    np.testing.assert_array_equal(whole.features, torch.cat(made))
    assert asked[0][2] is None
    for (_, _, prefix), end in zip(asked[1:], (30, 50), strict=True):
        assert prefix.lengths.tolist() == [end]
        np.testing.assert_array_equal(prefix.features[0], whole.features[:end])
    assert whole.text == f"{WALK}, then {SIT}, then {WALK}"


def test_sentences_that_are_planned_become_one_plan_as_far_as_the_model_makes_at_once(going_on, monkeypatch):
    """Two parts of a second fit into 40 frames, the third does not and goes on from them."""
    action = TimedAction(Action("clap", count=1), 0.0, (0.2, 0.8), 1.0)
    asked, sample = [], going_on.generator.sample

    def spy(text, lengths, *, timelines, prefix, **options):
        asked.append((text, int(lengths), timelines, prefix is None))
        return sample(text, lengths, timelines=timelines, prefix=prefix, **options)

    monkeypatch.setattr(going_on.generator, "sample", spy)
    monkeypatch.setattr(going_on.generator, "plan", lambda text, lengths, seeds, programs: [(action,)] * len(text))
    whole = going_on.sequence([(WALK, 1), (SIT, 1), (WALK, 1)], raw=True)
    later = TimedAction(Action("clap", count=1), 1.0, (1.2, 1.8), 2.0)
    assert asked == [([f"{WALK}, then {SIT}"], 40, [(action, later)], True), ([WALK], 20, [(action,)], False)]
    assert len(whole) == 60


def test_a_model_that_finds_lengths_is_not_told_any(going_on):
    short, long = going_on.generate([WALK, f"{WALK} and then {SIT}"], seconds=None, samples=1)
    assert all(0 < len(take) <= 40 for take in (short, long))
    alone = going_on.generate(WALK, seconds=None)
    np.testing.assert_allclose(alone.joints, short.joints, atol=1e-4)


def test_what_is_no_sequence_is_refused(model, going_on):
    with pytest.raises(atm.InputError, match="learnt to go on from a motion, such as causal_flow; tiny.safetensors"):
        model.sequence([(WALK, 1), (SIT, 1)])
    with pytest.raises(atm.InputError, match="seconds must be 0.5 to 2 for this model, got 0"):
        going_on.sequence([(WALK, 1), (SIT, 0)])
    with pytest.raises(atm.InputError, match="needs a part or more"):
        going_on.sequence([])
