"""The studio's HTTP API and its page. Imported by the command alone: fastapi and uvicorn are no part of the package."""

import contextlib
import re
import secrets
import socket
import tempfile
import threading
import webbrowser
from collections.abc import AsyncIterator, Collection, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException

import atm
from atm.apps.api import load, load_space
from atm.apps.best_of import CHOOSER
from atm.apps.export import FORMATS, STYLED
from atm.apps.studio.guard import LARGEST_BODY, Guard, problem
from atm.apps.studio.jobs import MOST_WAITING, Job, QueueFull, Source, Workshop
from atm.apps.studio.made import Judge, Made
from atm.apps.studio.models import StudioModel
from atm.apps.studio.neighbours import RealMotions, hard_negative
from atm.apps.studio.requests import (
    LONGEST_SENTENCE,
    LONGEST_SEQUENCE,
    MOST_CANDIDATES,
    MOST_PARTS,
    MOST_SAMPLES,
    AnyRequest,
    EditRequest,
    GenerateRequest,
    ReadRequest,
    SequenceRequest,
)
from atm.base.errors import InputError, unknown
from atm.base.packaged import packaged
from atm.pages.page import viewer_script, viewer_style

LOCAL = ("127.0.0.1", "localhost", "::1")
"""Names of this machine; the studio asks for no token where it listens to it alone."""
MOST_NEAREST = 8
"""Real motions that are given at once."""
_KINDS = {
    "csv": "text/csv", "bvh": "text/plain", "glb": "model/gltf-binary", "vrma": "model/gltf-binary",
    "constraints": "application/json", "mp4": "video/mp4", "gif": "image/gif",
    "png": "image/png", "html": "text/html",
}  # fmt: skip


def run_studio(
    models: Sequence[Path],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    space: Path | None = None,
    queue: int = MOST_WAITING,
    data: Path | None = None,
    browser: bool = True,
) -> None:
    """Load the models, and answer until it is interrupted.

    Args:
        models: run folders, model files or packaged names; none: the packaged generator.
        host: address to listen on; beyond this machine a token is asked for.
        port: 0 takes any that is free.
        token: that clients send; None: a new one, where one is needed.
        space: what chooses among candidates of models of one's own.
        queue: requests that may wait.
        data: data folder whose test motions are searched for those nearest to a generated one.
        browser: open the page.

    Raises:
        InputError: a file that is no generator, no data folder, or a port that cannot be had.
    """
    host = host.strip("[]")
    listening = _listen(host, port)
    local = host in LOCAL
    token = token or (None if local else secrets.token_urlsafe(24))
    known: dict[str, StudioModel] = {}
    for given in models or [Path("generator")]:
        model = StudioModel(load(given), str(given), space)
        model.name = next(name for name in _names(model.name) if name not in known)
        model.read("a person walks")  # the language model is read from its file now, not by two requests at once
        known[model.name] = model
    weights = packaged(CHOOSER)
    measured = load_space(weights)
    workshop = Workshop(Judge(measured), most_waiting=queue)
    real = None if data is None else RealMotions(data, measured, weights)
    app = create_app(list(known.values()), workshop, token=token, hosts=LOCAL if local else None, real=real)
    port = listening.getsockname()[1]
    name = "localhost" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    address = f"http://{name}:{port}/" + (f"#token={token}" if token else "")
    print(address, flush=True)
    if browser:
        threading.Timer(0.8, webbrowser.open, [address]).start()
    settings = uvicorn.Config(app, log_level="warning", server_header=False, timeout_graceful_shutdown=3)
    with contextlib.suppress(KeyboardInterrupt):  # how one ends it
        uvicorn.Server(settings).run(sockets=[listening])


def create_app(
    models: Sequence[StudioModel],
    workshop: Workshop,
    *,
    token: str | None = None,
    hosts: Collection[str] | None = None,
    real: RealMotions | None = None,
) -> FastAPI:
    """Return the application.

    Args:
        models: one or more, with names that differ; the first answers where none is named.
        workshop: makes the motions; started and stopped with the application.
        token, hosts: as for `Guard`.
        real: motions of a data folder that are searched; None: none was given.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        workshop.start()
        yield
        workshop.stop()

    version = atm.__version__
    app = FastAPI(
        title="atm studio", version=version, lifespan=lifespan, openapi_url="/api/openapi.json", docs_url=None,
        redoc_url=None,
    )  # fmt: skip
    app.add_middleware(Guard, token=token, hosts=hosts)
    _answer_errors(app)
    by_name = {model.name: model for model in models}
    exporting = threading.Semaphore(1)

    def model_of(name: str | None) -> StudioModel:
        if name is None:
            return models[0]
        if name not in by_name:
            raise unknown("model", name[:80], by_name)
        return by_name[name]

    def job_of(name: str) -> Job:
        job = workshop.find(name)
        if job is None:
            raise HTTPException(404, f"no request {name[:40]!r}: there never was one, or it was long ago")
        return job

    def source_of(name: str) -> Source:
        request, _, sample = name.rpartition("-")
        job = job_of(request)
        if not re.fullmatch("[0-9]{1,3}", sample) or int(sample) >= len(job.made):
            raise HTTPException(404, f"no motion {name[:40]!r}: the request has {len(job.made)}")
        return Source(job, int(sample))

    def motion_of(name: str) -> Made:
        return source_of(name).made

    def told(job: Job) -> dict[str, Any]:
        return job.to_json(workshop.ahead(job))

    def taken(request: AnyRequest, text: list[str], response: Response, source: Source | None = None) -> dict[str, Any]:
        model = model_of(request.model)
        model.check(request, source and source.made.take)
        warnings = [line for sentence in dict.fromkeys(text) if (line := model.read(sentence)["warning"])]
        job = workshop.submit(Job(request, model, source, warnings))
        response.headers["location"] = f"/api/jobs/{job.id}"
        return told(job)

    @app.get("/api/health")
    def health() -> dict[str, Any]:
        """Say that the studio answers, and how many requests wait."""
        return {"status": "ok", "version": version, "waiting": workshop.waiting}

    @app.get("/api/models")
    def list_models() -> dict[str, Any]:
        """List the models with what they can do, the formats with what can be chosen of each, and the limits."""
        limits = {
            "sentence": LONGEST_SENTENCE, "samples": MOST_SAMPLES, "best_of": MOST_CANDIDATES, "parts": MOST_PARTS,
            "body": LARGEST_BODY, "waiting": workshop.most_waiting,
        }  # fmt: skip
        return {
            "models": [model.facts for model in models],
            "data": None if real is None else {"name": real.name, "motions": len(real)},
            "formats": tuple(FORMATS),
            "styles": {name: STYLED.get(ending, ()) for name, ending in FORMATS.items()},
            "limits": limits,
        }

    @app.post("/api/read")
    def read(request: ReadRequest) -> dict[str, Any]:
        """Tell which actions are read in a sentence, and what the model was not taught."""
        return model_of(request.model).read(request.text)

    @app.post("/api/generate", status_code=202)
    def generate(request: GenerateRequest, response: Response) -> dict[str, Any]:
        """Put a sentence into the queue; the answer says where its motions will be."""
        return taken(request, [request.text], response)

    @app.post("/api/sequence", status_code=202)
    def sequence(request: SequenceRequest, response: Response) -> dict[str, Any]:
        """Put sentences that follow one another in one motion into the queue."""
        return taken(request, [part.text for part in request.parts], response)

    @app.post("/api/edit", status_code=202)
    def edit(request: EditRequest, response: Response) -> dict[str, Any]:
        """Put a motion into the queue that is made anew but for parts that are kept, or along a path."""
        return taken(request, [request.text], response, source_of(request.motion))

    @app.get("/api/jobs/{name}")
    def status(name: str) -> dict[str, Any]:
        """Tell how far a request is, and the ids of its motions."""
        return told(job_of(name))

    @app.delete("/api/jobs/{name}")
    def cancel(name: str) -> dict[str, Any]:
        """Give a request up: one that waits at once, one that is being made at its next step."""
        job = job_of(name)
        workshop.cancel(job)
        return told(job)

    @app.get("/api/motions/{name}")
    def motion(name: str) -> dict[str, Any]:
        """Give a motion with its verdicts, plan and curve, and the data of the viewer."""
        return motion_of(name).to_json(name)

    @app.get("/api/motions/{name}/negative")
    def negative(
        name: str,
        at: Annotated[float, Query(ge=0, le=LONGEST_SEQUENCE, allow_inf_nan=False)],
    ) -> dict[str, Any]:
        """Tell which sentences of another meaning the 2 s around a time resemble most, in the losses' distance."""
        return hard_negative(motion_of(name), at, workshop.sentences, workshop.judge.space)

    @app.get("/api/motions/{name}/nearest")
    def nearest(name: str, top: Annotated[int, Query(ge=1, le=MOST_NEAREST)] = 4) -> dict[str, Any]:
        """Give the real motions of the studio's data folder that are nearest, with the data of the viewer."""
        found = motion_of(name)
        if real is None:
            raise HTTPException(409, "no real motions to search: start the studio with --data FOLDER")
        return {"data": real.name, "motions": real.near(found.take, top)}

    @app.get("/api/motions/{name}/export")
    def export(
        name: str,
        format: Annotated[str, Query(max_length=16)],
        names: Annotated[str, Query(max_length=16)] = "humanml3d",
        unit: Annotated[str, Query(max_length=4)] = "m",
        fps: Annotated[float | None, Query(gt=0, le=240, allow_inf_nan=False)] = None,
        up: Annotated[str, Query(max_length=4)] = "y",
    ) -> Response:
        """Give a motion as a file of a format; names, unit, fps and up as of `atm export`."""
        take = motion_of(name).take
        if format not in FORMATS:
            raise unknown("format", format, FORMATS)
        # No word of a client is part of this path.
        with exporting, tempfile.TemporaryDirectory(prefix="atm-") as folder:
            kept = Path(folder) / f"motion{FORMATS[format]}"
            content = take.save(kept, names=names, unit=unit, fps=fps, up=up).read_bytes()
        file = re.sub("[^a-z0-9]+", "-", take.text.lower()).strip("-")[:48] or "motion"
        headers = {"content-disposition": f'attachment; filename="{file}{FORMATS[format]}"'}
        return Response(content, media_type=_KINDS.get(format, "application/octet-stream"), headers=headers)

    @app.get("/", include_in_schema=False)
    def page() -> Response:
        return Response(_asset("studio.html"), media_type="text/html")

    @app.get("/assets/{name}", include_in_schema=False)
    def asset(name: str) -> Response:
        made = {"viewer.js": viewer_script, "viewer.css": viewer_style}
        if name not in (*made, "studio.js", "studio.css"):
            raise HTTPException(404, "the page has no such part")
        kind = "text/javascript" if name.endswith("js") else "text/css"
        return Response(made[name]() if name in made else _asset(name), media_type=kind)

    return app


def _answer_errors(app: FastAPI) -> None:
    """Let every error be problem JSON with one sentence."""

    @app.exception_handler(InputError)
    def refused(_: Request, error: InputError) -> Response:
        return problem(422, str(error))

    @app.exception_handler(QueueFull)
    def full(_: Request, error: QueueFull) -> Response:
        return problem(429, str(error), {"Retry-After": str(error.seconds)})

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        if first["type"] == "model_attributes_type":
            return problem(422, "the body must be one JSON object, sent as application/json")
        where = ".".join(str(place) for place in first["loc"][1:]) or "the body"
        given = "" if first["type"] in ("missing", "json_invalid") else f", got {repr(first.get('input'))[:80]}"
        return problem(422, f"{where}: {first['msg'][:1].lower()}{first['msg'][1:]}{given}")

    @app.exception_handler(StarletteHTTPException)
    def missing(request: Request, error: StarletteHTTPException) -> Response:
        said = {404: f"there is nothing at {request.url.path[:80]}", 405: f"{request.method} is no way to ask for this"}
        plain = error.detail in ("Not Found", "Method Not Allowed")
        return problem(error.status_code, said[error.status_code] if plain else str(error.detail), error.headers)

    @app.exception_handler(Exception)
    def failed(_: Request, error: Exception) -> Response:
        return problem(500, f"the studio failed ({type(error).__name__}): its own output says more")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except (OSError, ValueError, TypeError) as error:  # the last two of what is no name at all
        listening.close()
        said = getattr(error, "strerror", None) or error
        raise InputError(f"cannot listen on {host}, port {port} ({said}): take another, as --port 0") from None
    return listening


def _names(name: str) -> list[str]:
    """Return names that a model may get: its own, or with a number behind it where others are called the same."""
    return [name, *(f"{name}-{k}" for k in range(2, 100))]


@cache
def _asset(name: str) -> str:
    return resources.files("atm.apps.studio").joinpath("assets", name).read_text(encoding="utf-8")
