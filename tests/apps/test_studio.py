"""The studio's API and page: what is asked for comes, what is wrong is one sentence, nothing is from elsewhere."""

import base64
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
import typer
import uvicorn
from starlette.testclient import TestClient

import atm
from atm.apps.reading import as_read
from atm.apps.studio import jobs as studio_jobs
from atm.apps.studio import models as studio_models
from atm.apps.studio.guard import LARGEST_BODY
from atm.apps.studio.jobs import Workshop
from atm.apps.studio.made import Judge
from atm.apps.studio.models import StudioModel
from atm.apps.studio.neighbours import SENTENCES, RealMotions, means_otherwise
from atm.apps.studio.server import FORMATS, LOCAL, create_app, run_studio
from atm.base.packaged import packaged
from atm.base.progress import progress
from atm.cli.app import app as command_line
from atm.export.npz import MotionFile
from atm.motion import padded
from folders import make_folder

WALK, SIT = "a person walks forward", "a person sits down"
ADDRESS = "http://127.0.0.1"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge(atm.load_space("space_meaning"))


@pytest.fixture
def models(model, going_on) -> list[StudioModel]:
    return [StudioModel(model, str(model.file)), StudioModel(going_on, str(going_on.file))]


@pytest.fixture
def workshop(judge) -> Workshop:
    return Workshop(judge, most_waiting=3)


@pytest.fixture
def waiting(models, workshop) -> TestClient:
    """A studio that has not begun to work: requests wait."""
    return TestClient(create_app(models, workshop, hosts=LOCAL), base_url=ADDRESS)


@pytest.fixture
def studio(waiting):
    with waiting:
        yield waiting


def made(studio: httpx.Client, job: dict) -> dict:
    """Waits until a request has ended."""
    deadline = time.monotonic() + 60
    while job["state"] in ("queued", "running") and time.monotonic() < deadline:
        time.sleep(0.02)
        job = studio.get(f"/api/jobs/{job['id']}").json()
    return job


def generate(studio: httpx.Client, **asked) -> dict:
    answer = studio.post("/api/generate", json={"text": WALK, "seconds": 1} | asked)
    assert answer.status_code == 202, answer.text
    return answer.json()


def said(answer, status: int) -> str:
    """The one sentence of an error."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status and problem["title"] and "\n" not in problem["detail"]
    return problem["detail"]


def joints(motion: dict) -> np.ndarray:
    numbers = np.frombuffer(base64.b64decode(motion["pane"]["joints"]), dtype="<i2")
    return numbers.reshape(motion["frames"], -1, 3) * motion["pane"]["metres"]


# ---------------------------------------------------------------- what is asked for


def test_the_studio_says_that_it_is_well_and_what_it_has(studio):
    assert studio.get("/api/health").json() == {"status": "ok", "version": atm.__version__, "waiting": 0}
    told = studio.get("/api/models").json()
    mdm, flow = told["models"]
    assert (mdm["name"], mdm["kind"], mdm["sequences"], mdm["plans"]) == ("tiny", "mdm", False, False)
    assert (flow["name"], flow["kind"], flow["sequences"], flow["plans"]) == ("flow", "causal_flow", True, True)
    assert (mdm["steps"], flow["steps"]) == (4, 100)
    assert (mdm["longest"], flow["longest"]) == (9.8, 2.0)  # 196 and 40 frames at 20 per second
    assert "bvh" in told["formats"] and told["limits"]["waiting"] == 3
    assert told["styles"]["glb"] == ["names", "fps"] and not told["styles"]["png"]


def test_a_sentence_becomes_the_motions_that_python_makes_of_it(studio, model):
    answer = studio.post("/api/generate", json={"text": WALK, "seconds": 3, "seed": 5, "samples": 2})
    assert answer.headers["location"] == f"/api/jobs/{answer.json()['id']}"
    job = made(studio, answer.json())
    assert (job["state"], job["progress"], len(job["motions"])) == ("done", 1.0, 2)
    for name, take in zip(job["motions"], model.generate(WALK, seconds=3, seed=5, samples=2), strict=True):
        motion = studio.get(f"/api/motions/{name}").json()
        assert (motion["text"], motion["seconds"], motion["frames"], motion["plan"]) == (WALK, 3.0, 60, None)
        np.testing.assert_allclose(joints(motion), take.joints, atol=motion["pane"]["metres"])
        assert [(part["text"], part["begin"], part["end"]) for part in motion["parts"]] == [(WALK, 0.0, 3.0)]
        assert motion["parts"][0]["verdict"] == take.verdict


def test_the_curve_is_the_cosine_of_each_clip_with_its_sentence(studio, judge, model):
    """Clips of 2 s of a motion of 3 s, every quarter of a second: the first one's middle is 1 s, the last one's 2 s."""
    job = made(studio, generate(studio, seconds=3))
    motion = studio.get(f"/api/motions/{job['motions'][0]}").json()
    take = model.generate(WALK, seconds=3)
    assert motion["curve"]["seconds"] == [1.0, 1.25, 1.5, 1.75, 2.0]
    expected = atm.similarity(WALK, [take[begin : begin + 2] for begin in (0, 0.25, 0.5, 0.75, 1)], space=judge.space)
    np.testing.assert_allclose(motion["curve"]["cosines"], expected[0], atol=2e-3)
    assert motion["score"] == pytest.approx(float(atm.similarity(WALK, take, space=judge.space)[0, 0]), abs=2e-3)


def test_sentences_become_one_sequence_with_its_plan(studio, going_on):
    parts = [{"text": WALK, "seconds": 1.5}, {"text": SIT, "seconds": 1}]
    answer = studio.post("/api/sequence", json={"model": "flow", "parts": parts, "seed": 3, "samples": 2})
    job = made(studio, answer.json())
    assert job["state"] == "done", job
    for k, name in enumerate(job["motions"]):
        motion = studio.get(f"/api/motions/{name}").json()
        take = going_on.sequence([(WALK, 1.5), (SIT, 1)], seed=3 + k)
        np.testing.assert_allclose(joints(motion), take.joints, atol=motion["pane"]["metres"])
        assert [(part["text"], part["begin"], part["end"]) for part in motion["parts"]] == [
            (WALK, 0.0, 1.5), (SIT, 1.5, 2.5),
        ]  # fmt: skip
        assert motion["score"] is None
        assert motion["plan"] is None or motion["plan"][-1]["end"] == pytest.approx(2.5, abs=0.05)


def test_a_model_that_finds_lengths_is_not_told_any(studio):
    job = made(studio, generate(studio, model="flow", seconds=None))
    assert 0 < studio.get(f"/api/motions/{job['motions'][0]}").json()["frames"] <= 40


def test_what_is_understood_is_told_and_what_was_not_taught(studio, going_on):
    told = studio.post("/api/read", json={"text": "a person walks forward four steps and kicks with the left leg"})
    assert told.json() == {
        "actions": [
            {"words": "walk · 4 steps · forward", "taught": True}, {"words": "kick · left", "taught": True}
        ],
        "warning": None,
        "seconds": None,
    }  # fmt: skip
    assert "no action" in studio.post("/api/read", json={"text": "asdf qwer"}).json()["warning"]
    planned = studio.post("/api/read", json={"text": WALK, "model": "flow"}).json()["seconds"]
    assert planned == round(as_read(going_on.generator).plan([WALK], seeds=[0])[0][-1].end, 1)
    assert "no action" in generate(studio, text="asdf qwer")["warnings"][0]


EXTRA = {**dict.fromkeys(("usd", "usda", "usdc"), "pip install 'atm-motion[usd]'"), "fbx": "pip install bpy"}
"""Formats that a library writes which may not be here -> how to get it."""


@pytest.mark.parametrize("format", [one for one in FORMATS if one != "mp4"])
def test_every_format_is_a_file_with_a_name_made_of_the_sentence(studio, format):
    job = made(studio, generate(studio, text='../../walks\r\n"slowly"'))
    answer = studio.get(f"/api/motions/{job['motions'][0]}/export", params={"format": format})
    if format in EXTRA and answer.status_code == 422:
        assert EXTRA[format] in answer.json()["detail"]
        return
    assert answer.status_code == 200 and len(answer.content) > 100
    assert answer.headers["content-disposition"] == f'attachment; filename="walks-slowly{FORMATS[format]}"'


def test_an_exported_motion_is_the_motion_in_the_style_that_was_asked_for(studio, tmp_path, model):
    job = made(studio, generate(studio))
    at = f"/api/motions/{job['motions'][0]}/export"
    (tmp_path / "walk.npz").write_bytes(studio.get(at, params={"format": "npz"}).content)
    again = atm.load_motion(tmp_path / "walk.npz")
    np.testing.assert_allclose(again.joints, model.generate(WALK, seconds=1).joints, atol=1e-4)
    style = {"format": "bvh", "names": "mixamo", "unit": "cm", "fps": 30, "up": "z"}
    bvh = studio.get(at, params=style).text
    assert "ROOT mixamorigHips" in bvh and "Frame Time: 0.03333333" in bvh


def test_the_same_motions_come_from_the_copied_python_and_command(studio, models):
    job = made(studio, generate(studio, text=f"{WALK} 'so' $HOME", samples=2, seed=4, steps=2))
    names: dict = {}
    exec(job["python"], names)
    for name, take in zip(job["motions"], names["motions"], strict=True):
        motion = studio.get(f"/api/motions/{name}").json()
        np.testing.assert_allclose(joints(motion), take.joints, atol=motion["pane"]["metres"])
    words = shlex.split(job["command"])
    assert words[2] == f"{WALK} 'so' $HOME"
    context = typer.main.get_command(command_line).commands["generate"].make_context("generate", words[2:])
    assert context.params["steps"] == 2
    dashed = shlex.split(generate(studio, text="--walks")["command"])
    context = typer.main.get_command(command_line).commands["generate"].make_context("generate", dashed[2:])
    assert context.params["text"] == ["--walks"]


def test_a_sequence_is_copied_as_python_alone(studio):
    parts = [{"text": WALK, "seconds": 1}, {"text": SIT, "seconds": 1}]
    job = made(studio, studio.post("/api/sequence", json={"model": "flow", "parts": parts, "steps": 2}).json())
    assert job["command"] is None
    names: dict = {}
    exec(job["python"], names)
    assert names["motions"][0].provenance["steps"] == 2
    motion = studio.get(f"/api/motions/{job['motions'][0]}").json()
    np.testing.assert_allclose(joints(motion), names["motions"][0].joints, atol=motion["pane"]["metres"])


# ---------------------------------------------------------------- what is made of a motion


def test_an_edited_motion_is_what_python_makes_and_what_the_copied_python_makes(studio, model):
    first = made(studio, generate(studio, seconds=3, seed=5))
    asked = {"motion": first["motions"][0], "text": SIT, "keep": [[0.5, 1]], "path": [[0, 1], [1, 2]], "seed": 4}
    asked |= {"steps": 2}
    answer = studio.post("/api/edit", json=asked | {"samples": 2})
    assert answer.status_code == 202, answer.text
    job = made(studio, answer.json())
    assert (job["state"], job["progress"], job["command"]) == ("done", 1.0, None), job
    source = model.generate(WALK, seconds=3, seed=5)
    names: dict = {}
    exec(job["python"], names)
    for k, name in enumerate(job["motions"]):
        motion = studio.get(f"/api/motions/{name}").json()
        take = model.edit(source, SIT, keep=[(0.5, 1)], path=[(0, 1), (1, 2)], seed=4 + k, steps=2)
        np.testing.assert_allclose(joints(motion), take.joints, atol=motion["pane"]["metres"])
        np.testing.assert_allclose(names["motions"][k].joints, take.joints, atol=1e-6)
    again = made(studio, studio.post("/api/edit", json={**asked, "motion": job["motions"][1]}).json())
    exec(again["python"], names)
    motion = studio.get(f"/api/motions/{again['motions'][0]}").json()
    np.testing.assert_allclose(joints(motion), names["motions"][0].joints, atol=motion["pane"]["metres"])


def test_a_motion_that_is_forgotten_while_its_edit_waits_is_edited_all_the_same(studio, workshop, monkeypatch):
    monkeypatch.setattr(workshop, "kept", 1)
    first = made(studio, generate(studio))
    job = studio.post("/api/edit", json={"motion": first["motions"][0], "text": SIT, "keep": [[0, 0.5]]}).json()
    assert made(studio, job)["state"] == "done"
    assert studio.get(f"/api/jobs/{first['id']}").status_code == 404


@pytest.mark.parametrize(
    ("asked", "status", "sentence"),
    [
        ({}, 422, "nothing is kept"),
        ({"motion": "nothing"}, 404, "no request"),
        ({"text": " ", "keep": [[0, 0.5]]}, 422, "the sentence is empty"),
        ({"keep": [[0.5, 2]]}, 422, "the motion lasts 1 s, and 0.5 to 2 s is no part of it"),
        ({"keep": [[0, 1]]}, 422, "nothing to make"),
        ({"keep": [[-1, 1]]}, 422, "keep.0.0: input should be greater than or equal to 0"),
        ({"keep": [[0, 0.1]] * 65}, 422, "keep: list should have at most 64 items"),
        ({"path": []}, 422, "path: list should have at least 1 item"),
        ({"path": [[0, 1]] * 65}, 422, "path: list should have at most 64 items"),
        ({"path": [[0, 1000]]}, 422, "path.0.1: input should be less than or equal to 100"),
        ({"path": [[0, 50]]}, 422, "faster than the 7 m/s"),
        ({"model": "flow", "path": [[0, 1]]}, 422, "causal_flow cannot be held on a path"),
        ({"model": "flow", "keep": [[0.2, 0.5]]}, 422, "keeps a beginning"),
    ],
)
def test_what_cannot_be_edited_is_one_sentence(studio, asked, status, sentence):
    job = made(studio, generate(studio))
    told = said(studio.post("/api/edit", json={"motion": job["motions"][0], "text": WALK} | asked), status)
    assert sentence in told


def test_models_say_what_they_keep(studio):
    mdm, flow = studio.get("/api/models").json()["models"]
    assert (mdm["keeps"], mdm["paths"], flow["keeps"], flow["paths"]) == ("any", True, "beginning", False)


def test_the_hard_negative_is_the_sentence_of_another_meaning_that_the_clip_lies_nearest_to(studio, judge, model):
    """The clip around 1.5 s of a motion of 3 s is 0.5 to 2.5 s; sentences that say a part of its own are no mistake."""
    made(studio, generate(studio, text="a person hops backwards"))  # another motion of this studio
    job = made(studio, generate(studio, text=f"{WALK}, then waves", seconds=3))
    found = studio.get(f"/api/motions/{job['motions'][0]}/negative", params={"at": 1.5}).json()
    assert (found["begin"], found["end"], found["own"]["text"]) == (0.5, 2.5, f"{WALK}, then waves")
    clip = model.generate(f"{WALK}, then waves", seconds=3)[0.5:2.5]
    listed = [text for text in (*SENTENCES, "a person hops backwards") if means_otherwise(text, f"{WALK}, then waves")]
    assert WALK not in listed and SIT in listed and "a person hops backwards" in listed
    distances = 1 - atm.similarity(listed, clip, space=judge.space)[:, 0]
    assert found["candidates"] == len(listed)
    assert [one["text"] for one in found["others"]] == [listed[row] for row in distances.argsort()[:3]]
    np.testing.assert_allclose([one["distance"] for one in found["others"]], np.sort(distances)[:3], atol=2e-3)
    own = 1 - atm.similarity(f"{WALK}, then waves", clip, space=judge.space)[0, 0]
    assert found["own"]["distance"] == pytest.approx(own, abs=2e-3)


def test_a_time_that_is_not_in_the_motion_has_no_hard_negative(studio):
    at = f"/api/motions/{made(studio, generate(studio))['motions'][0]}/negative"
    assert "the motion lasts 1 s, and 9 s is not in it" in said(studio.get(at, params={"at": 9}), 422)
    assert "at: input should be greater than or equal to 0" in said(studio.get(at, params={"at": -1}), 422)
    assert "at: field required" in said(studio.get(at), 422)


def test_the_nearest_real_motions_are_those_of_the_largest_cosine(models, workshop, tmp_path, judge, model):
    real = RealMotions(make_folder(tmp_path / "data", clips=12), judge.space, packaged("space"))
    with TestClient(create_app(models, workshop, hosts=LOCAL, real=real), base_url=ADDRESS) as studio:
        assert studio.get("/api/models").json()["data"] == {"name": "data", "motions": len(real)}
        job = made(studio, generate(studio, seconds=3))
        found = studio.get(f"/api/motions/{job['motions'][0]}/nearest", params={"top": 2}).json()
    take = model.generate(WALK, seconds=3)
    assert found["data"] == "data" and len(found["motions"]) == min(2, len(real))
    features = padded([take.features, *(real.dataset.features(item) for item in real.dataset.items)])
    z = torch.nn.functional.normalize(judge.space.encode_motion(features), dim=-1)
    best = (z[1:] @ z[0]).sort(descending=True).values[: len(found["motions"])]
    np.testing.assert_allclose([one["cosine"] for one in found["motions"]], best, atol=2e-3)
    assert all(one["text"] and one["pane"]["joints"] and one["bodies"] for one in found["motions"])


def test_without_a_data_folder_the_nearest_motions_say_what_to_give(studio):
    job = made(studio, generate(studio))
    answer = studio.get(f"/api/motions/{job['motions'][0]}/nearest")
    assert said(answer, 409) == "no real motions to search: start the studio with --data FOLDER"


# ---------------------------------------------------------------- the queue


def test_requests_that_wait_together_are_one_batch_and_each_gets_what_it_would_alone(
    waiting, workshop, going_on, monkeypatch
):
    sizes, sample = [], studio_models.sample_rows

    def spy(generator, text, *rest, **options):
        sizes.append(len(text))
        return sample(generator, text, *rest, **options)

    monkeypatch.setattr(studio_models, "sample_rows", spy)
    asked = [{"seconds": 1, "seed": 1}, {"seconds": 2, "seed": 2, "samples": 2, "text": SIT}, {"guidance": 2.0}]
    jobs = [generate(waiting, model="flow", **one) for one in asked]
    with waiting:
        jobs = [made(waiting, job) for job in jobs]
    assert sizes == [3, 1]  # the third has another guidance
    alone = [going_on.generate(WALK, seconds=1, seed=1), *going_on.generate(SIT, seconds=2, seed=2, samples=2)]
    names = [name for job in jobs[:2] for name in job["motions"]]
    for name, take in zip(names, alone, strict=True):
        motion = waiting.get(f"/api/motions/{name}").json()
        np.testing.assert_allclose(joints(motion), take.joints, atol=2 * motion["pane"]["metres"])


def test_requests_of_other_steps_share_no_batch_and_each_gets_its_own(waiting, workshop, model, monkeypatch):
    told, sample = [], studio_models.sample_rows

    def spy(generator, text, *rest, steps, **options):
        told.append((len(text), steps))
        return sample(generator, text, *rest, steps=steps, **options)

    monkeypatch.setattr(studio_models, "sample_rows", spy)
    jobs = [generate(waiting, steps=steps) for steps in (1, 2, 1)]
    with waiting:
        jobs = [made(waiting, job) for job in jobs]
    assert told == [(2, 1), (1, 2)]
    for job, steps in zip(jobs, (1, 2, 1), strict=True):
        motion = waiting.get(f"/api/motions/{job['motions'][0]}").json()
        take = model.generate(WALK, seconds=1, steps=steps)
        assert motion["provenance"]["steps"] == take.provenance["steps"] == steps
        np.testing.assert_allclose(joints(motion), take.joints, atol=2 * motion["pane"]["metres"])


@pytest.mark.parametrize("route", ["generate", "sequence", "edit"])
def test_steps_of_a_model_that_has_none_are_refused_by_every_request(studio, models, monkeypatch, route):
    first = made(studio, generate(studio, model="flow"))
    flow = models[1].generator
    monkeypatch.setattr(flow, "capabilities", replace(flow.capabilities, steps=0))
    asked = {
        "generate": {"text": WALK, "seconds": 1},
        "sequence": {"parts": [{"text": WALK, "seconds": 1}]},
        "edit": {"motion": first["motions"][0], "text": SIT, "keep": [[0, 0.5]]},
    }[route] | {"model": "flow"}
    assert "no sampling steps" in said(studio.post(f"/api/{route}", json=asked | {"steps": 5}), 422)
    assert made(studio, studio.post(f"/api/{route}", json=asked).json())["state"] == "done"


def test_a_model_that_attends_to_padding_gets_equal_lengths_alone(models, monkeypatch):
    flow = models[1]
    one, other = ({"text": WALK, "seconds": seconds} for seconds in (1, 2))
    keys = [flow.together(studio_models.GenerateRequest(**asked)) for asked in (one, other)]
    assert keys[0] == keys[1]
    monkeypatch.setattr(flow.generator, "capabilities", replace(flow.generator.capabilities, ignores_padding=False))
    keys = [flow.together(studio_models.GenerateRequest(**asked)) for asked in (one, other)]
    assert keys[0] != keys[1]


def test_a_full_queue_says_when_to_come_again(waiting):
    jobs = [generate(waiting) for _ in range(3)]
    assert [job["ahead"] for job in jobs] == [0, 1, 2]
    answer = waiting.post("/api/generate", json={"text": WALK})
    assert said(answer, 429).startswith("3 requests are waiting already")
    assert int(answer.headers["retry-after"]) >= 1
    waiting.delete(f"/api/jobs/{jobs[0]['id']}")
    assert generate(waiting)["state"] == "queued"


def test_a_request_that_waits_is_given_up_at_once(waiting):
    first, second = generate(waiting), generate(waiting)
    assert waiting.delete(f"/api/jobs/{first['id']}").json()["state"] == "cancelled"
    assert waiting.get(f"/api/jobs/{second['id']}").json()["ahead"] == 0
    with waiting:
        assert made(waiting, second)["state"] == "done"
        assert waiting.get(f"/api/jobs/{first['id']}").json() | {"command": "", "python": ""} == first | {
            "state": "cancelled", "command": "", "python": "",
        }  # fmt: skip


def test_a_request_that_is_being_made_is_given_up_at_its_next_step(studio, monkeypatch):
    """The sampler here takes steps until it is stopped; it tells of each as every sampler does."""
    steps, begun = [], threading.Event()

    def endless(*_, **__):
        for step in progress(range(100_000), "sampling", show=False):
            steps.append(step)
            begun.set()
            time.sleep(0.001)

    with monkeypatch.context() as patch:
        patch.setattr(studio_models, "sample_rows", endless)
        job = generate(studio)
        assert begun.wait(10)
        assert studio.get(f"/api/jobs/{job['id']}").json()["state"] == "running"
        assert studio.delete(f"/api/jobs/{job['id']}").json()["state"] == "cancelled"
    assert made(studio, generate(studio))["state"] == "done"
    assert len(steps) < 100_000


def test_a_model_that_fails_ends_its_request_and_no_other(studio, monkeypatch):
    def broken(*_, **__):
        raise ValueError("no such number")

    with monkeypatch.context() as patch:
        patch.setattr(studio_models, "sample_rows", broken)
        job = made(studio, generate(studio))
    assert (job["state"], job["error"]) == ("failed", "the model failed (ValueError: no such number)")
    assert made(studio, generate(studio))["state"] == "done"


def test_a_motion_that_fails_does_not_fail_its_neighbours_in_a_batch(waiting, monkeypatch):
    finished = studio_models.finished

    def broken(motion, sentence, *rest, **options):
        if sentence == SIT:
            raise atm.InputError("it is not finite")
        return finished(motion, sentence, *rest, **options)

    monkeypatch.setattr(studio_models, "finished", broken)
    jobs = [generate(waiting, text=text) for text in (WALK, SIT)]
    with waiting:
        walk, sit = (made(waiting, job) for job in jobs)
    assert (walk["state"], sit["state"], sit["error"]) == ("done", "failed", "it is not finite")


def test_long_motions_are_forgotten_earlier_but_never_the_last(studio, monkeypatch):
    monkeypatch.setattr(studio_jobs, "KEPT_FRAMES", 30)  # 1.5 s
    jobs = [made(studio, generate(studio, seconds=seconds)) for seconds in (1, 2)]
    assert [studio.get(f"/api/jobs/{job['id']}").status_code for job in jobs] == [404, 200]


def test_old_motions_are_forgotten(models, judge):
    workshop = Workshop(judge, kept=1)
    with TestClient(create_app(models, workshop), base_url=ADDRESS) as studio:
        jobs = [made(studio, generate(studio)) for _ in range(3)]
        assert "no request" in said(studio.get(f"/api/jobs/{jobs[0]['id']}"), 404)
        assert studio.get(f"/api/motions/{jobs[-1]['motions'][0]}").status_code == 200


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({}, "text: field required"),
        ({"text": ""}, "text: string should have at least 1 character, got ''"),
        ({"text": "   "}, "the sentence is empty"),
        ({"text": "x" * 501}, "text: string should have at most 500 characters"),
        ({"text": 5}, "text: input should be a valid string, got 5"),
        ({"text": WALK, "seconds": 60}, "seconds must be 0.5 to 9.8 for this model, got 60"),
        ({"text": WALK, "seconds": 0}, "seconds: input should be greater than 0, got 0"),
        ({"text": WALK, "seconds": "3"}, "seconds: input should be a valid number, got '3'"),
        ({"text": WALK, "samples": 9}, "samples: input should be less than or equal to 8, got 9"),
        ({"text": WALK, "samples": True}, "samples: input should be a valid integer, got True"),
        ({"text": WALK, "seed": -1}, "seed: input should be greater than or equal to 0, got -1"),
        ({"text": WALK, "seed": 2**60}, "seed: input should be less than or equal to"),
        ({"text": WALK, "guidance": -1}, "guidance: input should be greater than or equal to 0, got -1"),
        ({"text": WALK, "steps": 0}, "steps: input should be greater than or equal to 1, got 0"),
        ({"text": WALK, "steps": 2.5}, "steps: input should be a valid integer, got 2.5"),
        ({"text": WALK, "steps": 5}, "steps must be 1 to 4 for this model, got 5"),
        ({"text": WALK, "best_of": 0}, "best_of: input should be greater than or equal to 1, got 0"),
        ({"text": WALK, "best_of": 2}, "give --space RUN"),
        ({"text": WALK, "model": "/etc/passwd"}, "unknown model '/etc/passwd': known are: flow, tiny"),
        ({"text": WALK, "out": "/tmp/x.npz"}, "out: extra inputs are not permitted"),
    ],
)
def test_what_cannot_be_generated_is_one_sentence(waiting, asked, sentence):
    assert sentence in said(waiting.post("/api/generate", json=asked), 422)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"parts": []}, "parts: list should have at least 1 item"),
        ({"parts": [{"text": WALK, "seconds": 0}]}, "parts.0.seconds: input should be greater than 0, got 0"),
        ({"parts": [{"text": WALK}]}, "parts.0.seconds: field required"),
        ({"parts": [{"text": WALK, "seconds": 0.1}]}, "seconds must be 0.5 to 2 for this model, got 0.1"),
        ({"parts": [{"text": " ", "seconds": 1}]}, "the sentence is empty"),
        ({"parts": [{"text": WALK, "seconds": 1}] * 25}, "parts: list should have at most 24 items"),
        ({"parts": [{"text": WALK, "seconds": 1}], "model": "tiny"}, "a sequence needs a model that learnt to go on"),
    ],
)
def test_what_is_no_sequence_is_one_sentence(waiting, asked, sentence):
    assert sentence in said(waiting.post("/api/sequence", json={"model": "flow"} | asked), 422)


def test_a_sequence_that_is_too_long_is_refused(waiting, models, monkeypatch):
    monkeypatch.setattr(studio_models, "LONGEST_SEQUENCE", 3.0)
    asked = {"model": "flow", "parts": [{"text": WALK, "seconds": 2}] * 2}
    assert "may last 3 s, but its parts are 4 s" in said(waiting.post("/api/sequence", json=asked), 422)


@pytest.mark.parametrize(
    ("content", "headers", "status", "sentence"),
    [
        (b"{", {}, 422, "JSON decode error"),
        (b"[" * 20_000, {}, 400, "parsing the body"),
        (b"[]", {}, 422, "the body must be one JSON object"),
        (b'{"text": NaN}', {}, 422, "text: input should be a valid string"),
        (b'{"text": "\\ud800"}', {}, 422, "text: "),
        (b'{"text": "walks", "seconds": NaN}', {}, 422, "seconds: "),
        (b'{"text": "walks"}', {"content-type": "text/plain"}, 422, "sent as application/json"),
        (b" " * (LARGEST_BODY + 1), {}, 413, f"a body has at most {LARGEST_BODY} bytes"),
        (b"{}", {"content-length": "9" * 5000}, 413, "a body has at most"),
        ([b"{}"], {}, 411, "say how long the body is"),  # in pieces of untold number
    ],
)
def test_a_body_that_is_none_is_one_sentence(waiting, content, headers, status, sentence):
    content = iter(content) if isinstance(content, list) else content
    answer = waiting.post("/api/generate", content=content, headers={"content-type": "application/json"} | headers)
    assert sentence.lower() in said(answer, status).lower()


@pytest.mark.parametrize(
    ("asked", "status", "sentence"),
    [
        ({}, 422, "format: field required"),
        ({"format": "obj"}, 422, "unknown format 'obj'"),
        ({"format": "../npz"}, 422, "unknown format '../npz'"),
        ({"format": "bvh", "names": "nobody"}, 422, "nobody"),
        ({"format": "bvh", "fps": 0}, 422, "fps: input should be greater than 0"),
        ({"format": "bvh", "fps": "inf"}, 422, "fps: "),
        ({"format": "csv", "fps": 30}, 422, "fps can be chosen for .bvh, .glb"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(studio, asked, status, sentence):
    job = made(studio, generate(studio))
    assert sentence in said(studio.get(f"/api/motions/{job['motions'][0]}/export", params=asked), status)


def test_what_is_not_there_is_one_sentence(studio):
    job = made(studio, generate(studio))
    for name in ("nothing", f"{job['id']}-1", f"{job['id']}--1", f"{job['id']}-x", "..%2f..%2fetc"):
        assert said(studio.get(f"/api/motions/{name}"), 404)
        assert said(studio.get(f"/api/motions/{name}/export", params={"format": "npz"}), 404)
    assert "no request 'nothing'" in said(studio.get("/api/jobs/nothing"), 404)
    assert "no request 'nothing'" in said(studio.delete("/api/jobs/nothing"), 404)
    assert said(studio.get("/api/nowhere"), 404) == "there is nothing at /api/nowhere"
    assert said(studio.get("/api/generate"), 405) == "GET is no way to ask for this"
    assert said(studio.get("/assets/..%2f..%2fserver.py"), 404)
    assert said(studio.get("/assets/server.py"), 404) == "the page has no such part"


def test_what_breaks_inside_is_one_sentence_too(models, workshop, monkeypatch):
    def broken(*_):
        raise RuntimeError("secret")

    monkeypatch.setattr(StudioModel, "read", broken)
    app = create_app(models, workshop)
    told = said(TestClient(app, ADDRESS, raise_server_exceptions=False).post("/api/read", json={"text": WALK}), 500)
    assert "RuntimeError" in told and "secret" not in told


def test_who_brings_no_token_is_sent_away(models, workshop):
    client = TestClient(create_app(models, workshop, token="open sesame"), base_url="http://anywhere.example")
    assert client.get("/api/health").status_code == client.get("/").status_code == 200
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic open sesame"}):
        for path in ("/api/models", "/api/openapi.json", "/api/jobs/x"):
            answer = client.get(path, headers=headers)
            assert "asks for its token" in said(answer, 401) and answer.headers["www-authenticate"] == "Bearer"
    assert client.get("/api/models", headers={"authorization": "Bearer open sesame"}).status_code == 200


def test_no_other_pages_name_leads_here(waiting):
    """Else a page from elsewhere could have its own name point at this machine, and ask in the reader's browser."""
    assert "not 'evil.example'" in said(waiting.get("/api/health", headers={"host": "evil.example:80"}), 403)
    assert waiting.get("/api/health", headers={"host": "localhost:8000"}).status_code == 200
    assert waiting.get("/api/health", headers={"host": "[::1]:8000"}).status_code == 200


# ---------------------------------------------------------------- the page


def test_the_page_has_all_that_its_script_looks_for_and_fetches_nothing_from_elsewhere(waiting):
    answer = waiting.get("/")
    assert answer.headers["content-type"].startswith("text/html")
    assert "connect-src 'self'" in answer.headers["content-security-policy"]
    parts = re.findall(r'(?:src|href)="(assets/[^"]+)"', answer.text)
    assert sorted(parts) == ["assets/studio.css", "assets/studio.js", "assets/viewer.css", "assets/viewer.js"]
    texts = {part: waiting.get(f"/{part}") for part in parts}
    assert all(text.status_code == 200 for text in texts.values())
    for text in (answer.text, texts["assets/studio.js"].text, texts["assets/studio.css"].text):
        assert set(re.findall(r"https?://[^\s\"'`)]+", text)) <= {"http://www.w3.org/2000/svg"}
        assert "//cdn" not in text and "@import" not in text
    script = texts["assets/studio.js"].text
    ids = set(re.findall(r'\bid="([^"]+)"', answer.text))
    named = set(re.findall(r'\$\("([^"]+)"\)', script)) | set(re.findall(r'\b(?:put|number)\("([^"]+)"', script))
    assert named and named <= ids
    assert {"text", "blocks", "plans", "curve", "seed", "lock", "dice", "formats", "keys"} <= ids


def test_every_route_is_described_also_in_the_docs(waiting):
    paths = waiting.get("/api/openapi.json").json()["paths"]
    assert {path: sorted(ways) for path, ways in paths.items()} == {
        "/api/health": ["get"], "/api/models": ["get"], "/api/read": ["post"], "/api/generate": ["post"],
        "/api/sequence": ["post"], "/api/edit": ["post"], "/api/jobs/{name}": ["delete", "get"],
        "/api/motions/{name}": ["get"], "/api/motions/{name}/negative": ["get"],
        "/api/motions/{name}/nearest": ["get"], "/api/motions/{name}/export": ["get"],
    }  # fmt: skip
    assert all(way["description"] for ways in paths.values() for way in ways.values())
    page = (Path(__file__).parents[2] / "docs" / "studio.md").read_text(encoding="utf-8")
    for path, ways in paths.items():
        named = path.replace("jobs/{name}", "jobs/JOB").replace("motions/{name}", "motions/ID")
        assert all(f"`{way.upper()} {named}" in page for way in ways), path


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_a_sentence_in_the_address_is_made_and_drawn_in_a_browser(models, workshop, tmp_path):
    server = uvicorn.Server(uvicorn.Config(create_app(models, workshop), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    # The first motion waits for the oracles to be imported, and the browser's clock runs ahead meanwhile.
    with httpx.Client(base_url=f"{ADDRESS}:{port}") as client:
        assert made(client, generate(client))["state"] == "done"
    arguments = [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--enable-unsafe-swiftshader", f"--user-data-dir={tmp_path}", "--virtual-time-budget=30000", "--dump-dom",
    ]  # fmt: skip
    run = subprocess.run(
        [CHROMIUM, *arguments, f"{ADDRESS}:{port}/?text=a+person+walks"], capture_output=True, text=True, timeout=120
    )
    server.should_exit = True
    thread.join(timeout=10)
    assert 'data-ready="true"' in run.stdout and "A motion of 6.0 s." in run.stdout


# ---------------------------------------------------------------- the command


def test_a_port_that_is_taken_is_one_sentence():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(atm.InputError, match="cannot listen on 127.0.0.1, port .*: take another, as --port 0"):
            run_studio([], port=taken.getsockname()[1])


def test_a_library_that_is_missing_is_one_sentence_with_the_extra(monkeypatch):
    from atm.cli.studio import studio

    monkeypatch.delitem(sys.modules, "atm.apps.studio.server")
    monkeypatch.setitem(sys.modules, "fastapi", None)
    with pytest.raises(atm.InputError, match=r"atm studio needs fastapi: pip install 'atm-motion\[studio\]'"):
        studio()


@pytest.mark.parametrize(("host", "asks"), [("127.0.0.1", False), ("[::1]", False), ("0.0.0.0", True)])
def test_beyond_this_machine_the_address_has_a_token(model, monkeypatch, capsys, host, asks):
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: [one.close() for one in sockets])
    run_studio([model.file, model.file], host=host, port=0, browser=False)
    address = capsys.readouterr().out.strip()
    assert re.fullmatch(r"http://(127\.0\.0\.1|\[::1\]|localhost):\d+/(#token=[\w-]{32})?", address)
    assert ("#token=" in address) == asks


def test_a_motion_of_another_skeleton_has_neither_curve_nor_verdict(judge):
    from atm.motion import KIT

    still = np.zeros((30, KIT.n_joints, 3), dtype=np.float32) + np.arange(KIT.n_joints)[:, None] * 0.1
    take = atm.Take.of(MotionFile(still.astype(np.float32), KIT, None, WALK, {}))
    judged = judge.judged(take, [(WALK, take.seconds)], None)
    assert (judged.curve, judged.score, judged.parts[0].verdict) == (None, None, None)
