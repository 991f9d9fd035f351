"""Throughput and latency of the studio's HTTP API, with requests made in batches and one by one.

Both servers answer on this machine, in this process, with the same model; clients are threads of it that wait for a
motion as the page does. Needs `atm-motion[studio]`.
"""

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import uvicorn

from atm.apps.api import load, load_space
from atm.apps.bench.measure import Comparison, measure
from atm.apps.best_of import CHOOSER
from atm.apps.generate import BATCH
from atm.apps.studio.jobs import Workshop
from atm.apps.studio.made import Judge
from atm.apps.studio.models import StudioModel
from atm.apps.studio.server import create_app
from atm.base.errors import InputError
from atm.base.packaged import packaged

CLIENTS, QUICK_CLIENTS = (1, 2, 4, 8, 16, 24), (1, 3)
ROUNDS = 1
REQUESTS, QUICK_REQUESTS = 12, 1
"""Requests of all clients in a round, at least: a lone client asks so often, one after the other."""
SECONDS, QUICK_SECONDS = 4.0, 0.5
POLL = 0.1
"""Seconds between two questions of a client whether its motion is done."""
PATIENCE = 600.0
"""Seconds until a client gives up."""
ONE_BY_ONE, TOGETHER = "one by one", "in batches"
_TEXTS = (
    "a person walks forward", "a person waves twice with the right hand", "a person sits down",
    "a person kicks with the left leg", "a person turns around", "a person jumps three times",
)  # fmt: skip


@dataclass(frozen=True)
class Answered:
    """Answers to one client's request."""

    latency: float
    """Seconds from the request to the motion in the client's hands."""
    refused: int
    """Times that the queue was full and the client came again after the time that it was told."""


def bench_serve(*, quick: bool, show: bool, model: Path | None = None, clients: int = CLIENTS[-1]) -> list[Comparison]:
    """Compare the API that makes what waits as one batch with the same one that makes one request after the other.

    Args:
        quick: few clients and short motions.
        show: a bar.
        model: run folder, model file or packaged name; None: the packaged generator.
        clients: at once, at most.

    Raises:
        InputError: a file that is no generator, or a motion that could not be made.
    """
    given = model or Path("generator")
    studio_model, judge = StudioModel(load(given), str(given)), Judge(load_space(packaged(CHOOSER)))
    found = []
    alone, together = (Workshop(judge, batch=batch) for batch in (1, BATCH))
    with serving(studio_model, alone) as one_port, serving(studio_model, together) as other_port:
        for count in QUICK_CLIENTS if quick else CLIENTS:
            if count <= clients:
                found.append(_compare(count, {ONE_BY_ONE: one_port, TOGETHER: other_port}, quick, show))
    return found


@contextlib.contextmanager
def serving(model: StudioModel, workshop: Workshop) -> Iterator[int]:
    """Serve a model on a free port of this machine, and give the port."""
    server = uvicorn.Server(uvicorn.Config(create_app([model], workshop), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise InputError("the server that was to be measured ended at its start: its own output says why")
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def _compare(clients: int, ports: Mapping[str, int], quick: bool, show: bool) -> Comparison:
    seconds = QUICK_SECONDS if quick else SECONDS
    times_each = -(-(QUICK_REQUESTS if quick else REQUESTS) // clients)
    answered: dict[str, list[Answered]] = {side: [] for side in ports}

    def one_client(side: str, client: int, times: int) -> list[Answered]:
        return [ask(ports[side], _request(client + clients * turn, seconds)) for turn in range(times)]

    def work(side: str, number: int) -> None:
        times = times_each if number else 1  # the first round does not count, and warms up
        with ThreadPoolExecutor(clients) as pool:
            told = list(pool.map(lambda client: one_client(side, client, times), range(clients)))
            answered[side] += [one for client in told for one in client] if number else []

    sides = {side: lambda number, side=side: work(side, number) for side in ports}
    what = f"{clients} at once, motions of {seconds:g} s"
    compared = measure(what, sides, rounds=ROUNDS, show=show)
    times = {
        side: replace(one, latency=[a.latency for a in answered[side]], refused=sum(a.refused for a in answered[side]))
        for side, one in compared.times.items()
    }
    return Comparison(what, times)


def _request(number: int, seconds: float) -> dict[str, Any]:
    return {"text": _TEXTS[number % len(_TEXTS)], "seconds": seconds, "seed": number}


def ask(port: int, request: Mapping[str, Any]) -> Answered:
    """Ask for a motion as one client does, and wait until it is there; come again where the queue is full.

    Raises:
        InputError: it could not be made.
    """
    begun, refused = time.perf_counter(), 0
    while time.perf_counter() - begun < PATIENCE:
        status, headers, job = _call(port, "POST", "/api/generate", request)
        if status != 429:
            break
        refused += 1
        time.sleep(float(headers["retry-after"]))
    while status in (200, 202) and job["state"] in ("queued", "running"):
        time.sleep(POLL)
        status, _, job = _call(port, "GET", f"/api/jobs/{job['id']}")
    if status not in (200, 202) or job["state"] != "done":
        raise InputError(f"a motion of the measurement was not made: {job.get('error') or job.get('detail')}")
    _call(port, "GET", f"/api/motions/{job['motions'][0]}")
    return Answered(time.perf_counter() - begun, refused)


def _call(
    port: int, method: str, path: str, body: Mapping[str, Any] | None = None
) -> tuple[int, Mapping[str, str], dict[str, Any]]:
    """Ask on a connection of its own: a server closes one that waits as long as it told a client to wait."""
    sent = None if body is None else json.dumps(body)
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as line:
        line.request(method, path, sent, {"content-type": "application/json"})
        answer = line.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, headers, json.loads(answer.read())
