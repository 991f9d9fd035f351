"""Every route of the studio with hostile requests: an answer or a problem in one sentence, and no job that breaks.

Routes, parameters and bodies are those of the OpenAPI schema, so that a new route is attacked from its first day. The
quick form makes `FUZZ_REQUESTS` requests (300), the slow one 10,000; `FUZZ_SEED` draws others.
"""

import json
import os
import random
import time
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

import atm
from atm.apps.studio.jobs import Workshop
from atm.apps.studio.made import Judge
from atm.apps.studio.models import StudioModel
from atm.apps.studio.server import LOCAL, create_app

REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "300"))
SEED = int(os.environ.get("FUZZ_SEED", "0"))
MOST_SECONDS = 5.0
DIGITS = "9" * 5000

VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 2, 8, 9, 0.5, 1e-320, 1.7976931348623157e308, 2**53, 2**63, 10**30, float("nan"),
    float("inf"), -float("inf"), "", " ", "\0", "\n", "a person walks", "walks " * 80, "a" * 501, "nan", "3", "मानव",
    "走る", "🕺", "\ud800", "<script>", "../../etc/passwd", "{{7*7}}", "%s%n", "²", f"he jumps {'9' * 480} times",
    [], [[]], {}, {"text": None}, {"": ""}, ["a person walks"], [{"text": "he bows", "seconds": 1}] * 25,
]  # fmt: skip
"""Values of a field, a query or a header; some of them are right for some."""
WORDS = [
    "", "0", "-1", "nan", "inf", "1e400", DIGITS, "²", "\0", "\n", "मानव", "../..", "..%2f..", "bvh", "npz", "csv",
    "glb", "mp4x", "z", "cm", "mixamo", "x" * 5000, "%", "%00", "%ff", "null", "[]", "a&b=c", "#", "?",
]  # fmt: skip
RAW = [
    b"", b"null", b"[]", b"{", b"{}", b'""', b"NaN", b"\xff\xfe{\0}\0", b"\xef\xbb\xbf{}", b"[" * 30_000,
    b'{"a":' * 9_000,
    b'{"text": "\\ud800"}', b'{"text": "walks", "text": 3}', b'{"text": "walks", "seed": ' + DIGITS.encode() + b"}",
    b'{"text": "walks", "seconds": 1e999}', b'{"text": "walks", "seconds": NaN}', b"\0" * 100, b"text=walks&seconds=1",
    b'{"__proto__": {}, "text": "he bows", "seconds": 1}', b" " * 65_000, b"x" * 70_000,
]  # fmt: skip
GOOD = {
    "ReadRequest": {"text": "a person walks"},
    "GenerateRequest": {
        "text": "a person walks",
        "seconds": 1,
        "seed": 3,
        "samples": 1,
        "steps": 1,
        "best_of": 1,
        "raw": False,
    },
    "SequenceRequest": {
        "model": "flow",
        "parts": [{"text": "he walks", "seconds": 1}, {"text": "he bows", "seconds": 1}],
    },
    "EditRequest": {
        "motion": "",
        "text": "he bows",
        "keep": [[0, 0.5]],
        "path": [[0, 1], [1, 1]],
        "seconds": 1,
        "samples": 1,
    },
}


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge(atm.load_space("space"))


@pytest.fixture
def studio(model, going_on, judge):
    models = [StudioModel(model, str(model.file)), StudioModel(going_on, str(going_on.file))]
    app = create_app(models, Workshop(judge, most_waiting=10, kept=10**6), hosts=LOCAL)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


def changed(body: Any, draw: random.Random) -> Any:
    """Put a hostile value somewhere into a body: in the place of a value, or under a name that is unknown."""
    body = json.loads(json.dumps(body))
    inner = body
    while isinstance(inner, dict | list) and inner and draw.random() < 0.7:
        key = draw.choice(list(inner)) if isinstance(inner, dict) else draw.randrange(len(inner))
        if not isinstance(inner[key], dict | list) or draw.random() < 0.3:
            inner[key] = draw.choice(VALUES)
            return body
        inner = inner[key]
    if isinstance(inner, dict):
        inner[draw.choice([*inner, "model", "guidance", "x", "__class__", "\0"])] = draw.choice(VALUES)
    else:
        inner.append(draw.choice(VALUES))
    return body


def request_of(schema: dict, motions: list[str], draw: random.Random) -> dict[str, Any]:
    """Draw a route, its parameters and its body, each right or hostile."""
    path = draw.choice(list(schema["paths"]))
    method = draw.choice([*schema["paths"][path]] * 6 + ["get", "post", "delete", "put", "options"])
    about = schema["paths"][path].get(method, {})
    query, headers, body = {}, {}, None
    for parameter in about.get("parameters", []):
        value = draw.choice(WORDS)
        if parameter["in"] == "path":
            known = draw.random() < 0.7
            named = draw.choice(motions) if "motions" in path else draw.choice(motions).rpartition("-")[0]
            path = path.replace(f"{{{parameter['name']}}}", named if known else quote(f"{named}-{value}", safe=""))
        elif parameter.get("required") or draw.random() < 0.5:
            query[parameter["name"]] = draw.choice(["bvh", "npz", value]) if parameter["name"] == "format" else value
    path = path.replace("{name}", quote(draw.choice(WORDS), safe=""))
    if "requestBody" in about:
        content = about["requestBody"]["content"]["application/json"]["schema"]
        body = draw.choice(RAW) if draw.random() < 0.15 else None
        if body is None:
            good = dict(GOOD[content["$ref"].rpartition("/")[2]])
            if "motion" in good:
                good["motion"] = motions[0]
            body = json.dumps(changed(good, draw) if draw.random() < 0.9 else good).encode("utf-8", "surrogatepass")
        kinds = ["application/json"] * 40 + ["text/plain", "application/x-www-form-urlencoded", "", "x/\xff"]
        headers["content-type"] = draw.choice(kinds).encode("latin-1")
    if draw.random() < 0.05:
        headers[draw.choice(["host", "authorization", "origin", "range", "x-forwarded-for"])] = b"Bearer \xff\xb2:99999"
    return {"method": method, "url": path, "params": query, "content": body, "headers": headers}


def attack(studio: TestClient, requests: int) -> None:
    draw = random.Random(SEED)
    schema = studio.get("/api/openapi.json").json()
    first = studio.post("/api/generate", json=GOOD["GenerateRequest"]).json()
    ended(studio, first)
    motions, jobs = [f"{first['id']}-0"], []
    for number in range(requests):
        asked = request_of(schema, motions, draw)
        where = f"request {number}, seed {SEED}: {asked!r:.600}"
        begun = time.process_time()
        try:
            answer = studio.request(**asked)
        except Exception as error:
            raise AssertionError(f"{where}: {error!r}") from error
        assert time.process_time() - begun < MOST_SECONDS, where
        assert answer.status_code < 500, f"{where}: {answer.text}"
        if answer.status_code >= 400:
            problem = answer.json()
            assert answer.headers["content-type"] == "application/problem+json", where
            assert problem["detail"] and "\n" not in problem["detail"] and len(problem["detail"]) < 4000, where
        elif answer.status_code == 202:
            jobs.append((where, answer.json()))
        if answer.status_code == 429:
            ended(studio, jobs[-1][1])
    for where, job in jobs:
        job = ended(studio, job)
        assert not (job["error"] or "").startswith("the model failed"), f"{where}: {job['error']}"
        assert job["state"] in ("done", "failed", "cancelled") and (job["error"] is None or job["state"] == "failed")
    assert studio.get("/api/health").json()["status"] == "ok"


def ended(studio: TestClient, job: dict) -> dict:
    """Wait until a request has ended."""
    deadline = time.monotonic() + 120
    while job["state"] in ("queued", "running"):
        assert time.monotonic() < deadline, f"{job} hangs"
        time.sleep(0.01)
        job = studio.get(f"/api/jobs/{job['id']}").json()
    return job


@pytest.mark.filterwarnings("ignore")
def test_a_hostile_request_is_answered_in_one_sentence_and_breaks_no_job(studio):
    attack(studio, REQUESTS)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_thousands_of_hostile_requests_are_answered_and_break_no_job(studio):
    attack(studio, 10_000)
