"""The queue, and the one thread that generates: requests that wait together are made as one batch where they can be."""

import secrets
import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from atm.apps.generate import BATCH
from atm.apps.studio.made import Judge, Made
from atm.apps.studio.models import StudioModel
from atm.apps.studio.recipes import command_of, python_of
from atm.apps.studio.requests import AnyRequest, EditRequest, SequenceRequest
from atm.base.errors import InputError
from atm.base.progress import watched

MOST_WAITING = 16
"""Requests that may wait; the next is sent away until one is done."""
KEPT = 64
"""Finished requests whose motions are kept; older ones are forgotten."""
KEPT_FRAMES = 150_000
"""Frames of all motions that are kept, at most, but for the last request: 200 MB."""
FIRST_GUESS = 4.0
"""Seconds that a request is thought to take before one was made."""

State = Literal["queued", "running", "done", "failed", "cancelled"]


class QueueFull(Exception):
    """No room for another request. `seconds`: when to ask again."""

    def __init__(self, waiting: int, seconds: int):
        """Say how many wait, and for how long."""
        super().__init__(f"{waiting} requests are waiting already, and no more may: ask again in {seconds} s")
        self.seconds = seconds


class _Cancelled(Exception):
    pass


class Source(NamedTuple):
    """A motion that another one is made from."""

    job: "Job"
    sample: int

    @property
    def made(self) -> Made:
        """The motion; it is held here, also when its request is forgotten."""
        return self.job.made[self.sample]


@dataclass(eq=False)
class Job:
    """One request on its way."""

    request: AnyRequest
    model: StudioModel
    source: Source | None = None
    """Motion that is edited; None: nothing is."""
    warnings: list[str] = field(default_factory=list)
    """Lines on what the model was not taught."""
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    state: State = "queued"
    progress: float = 0.0
    """Share that is done, from 0 to 1."""
    error: str | None = None
    made: list[Made] = field(default_factory=list)

    @property
    def python(self) -> str:
        """Lines of Python that make the same motions."""
        return python_of(self.request, self.model, self.source and (self.source.job.python, self.source.sample))

    def to_json(self, ahead: int = 0) -> dict[str, Any]:
        """Return plain values; `ahead`: how many requests are made before it."""
        return {
            "id": self.id,
            "model": self.model.name,
            "state": self.state,
            "ahead": ahead,
            "progress": round(self.progress, 3),
            "error": self.error,
            "warnings": self.warnings,
            "command": command_of(self.request, self.model),
            "python": self.python,
            "motions": [f"{self.id}-{k}" for k in range(len(self.made))],
        }


class Workshop:
    """Takes requests, and makes them one batch after the other in a thread of its own."""

    def __init__(self, judge: Judge, *, most_waiting: int = MOST_WAITING, kept: int = KEPT, batch: int = BATCH):
        """Open an empty queue; nothing is made before `start`. `batch`: motions that are made at once, at most."""
        self.judge, self.most_waiting, self.kept, self.batch = judge, most_waiting, kept, batch
        self._waiting: deque[Job] = deque()
        self._running: list[Job] = []
        self._all: OrderedDict[str, Job] = OrderedDict()
        self._change = threading.Condition()
        self._open = True
        self._seconds = FIRST_GUESS
        self._thread = threading.Thread(target=self._work, name="studio", daemon=True)

    def start(self) -> None:
        """Begin to make what waits."""
        self._thread.start()

    def stop(self) -> None:
        """Make nothing more; what is being made is given up at its next step."""
        with self._change:
            self._open = False
            for job in (*self._waiting, *self._running):
                job.state = "cancelled"
            self._change.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def submit(self, job: Job) -> Job:
        """Put a request at the end of the queue.

        Raises:
            QueueFull: too many wait already.
        """
        with self._change:
            if len(self._waiting) >= self.most_waiting:
                raise QueueFull(len(self._waiting), max(1, round(self._seconds)))
            self._waiting.append(job)
            self._all[job.id] = job
            self._forget()
            self._change.notify_all()
        return job

    def find(self, name: str) -> Job | None:
        """Return a request by its id; None: there is none, or it is forgotten."""
        with self._change:
            return self._all.get(name)

    def cancel(self, job: Job) -> None:
        """Give a request up; one that has ended stays as it is."""
        with self._change:
            if job.state in ("queued", "running"):
                job.state = "cancelled"
            if job in self._waiting:
                self._waiting.remove(job)

    def ahead(self, job: Job) -> int:
        """Return how many requests are made before this one."""
        with self._change:
            return len(self._running) + self._waiting.index(job) if job in self._waiting else 0

    @property
    def sentences(self) -> list[str]:
        """Sentences of all motions that are kept, each once, the newest first."""
        with self._change:
            made = [motion for job in reversed(self._all.values()) for motion in job.made]
        return list(dict.fromkeys(told.text for motion in made for told in motion.parts))

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._waiting)

    def _forget(self) -> None:
        frames = 0
        ended = [job for job in self._all.values() if job.state not in ("queued", "running")]
        for place, job in enumerate(reversed(ended)):
            frames += sum(len(motion.take) for motion in job.made)
            if place >= self.kept or (place > 0 and frames > KEPT_FRAMES):
                del self._all[job.id]

    def _work(self) -> None:
        while batch := self._next():
            began = time.monotonic()
            if not self._made(batch):  # one request must not fail its neighbours
                for job in batch:
                    self._made([job])
            with self._change:
                self._running = []
                self._forget()
                self._seconds = 0.5 * self._seconds + 0.5 * (time.monotonic() - began) / len(batch)

    def _made(self, batch: list[Job]) -> bool:
        """Make requests, and return whether they ended: with motions or cancelled, or a single one with its error."""
        made: list[list[Made]] = [[] for _ in batch]
        error = None
        try:
            with watched(_Watch(batch)):
                made = self._make(batch)
        except _Cancelled:
            pass
        except InputError as refused:
            error = str(refused)
        except Exception as failed:  # nor may it end the thread that all others wait for
            error = f"the model failed ({type(failed).__name__}: {failed})"
        if error is not None and len(batch) > 1:
            return False
        with self._change:
            for job, motions in zip(batch, made, strict=True):
                if job.state == "running":
                    job.made, job.error = motions, error
                    job.progress, job.state = (1.0, "done") if error is None else (job.progress, "failed")
        return True

    def _next(self) -> list[Job]:
        """Return the first request that waits, and others that can be made along with it; empty: the studio closes."""
        with self._change:
            self._change.wait_for(lambda: self._waiting or not self._open)
            if not self._open:
                return []
            first = self._waiting.popleft()
            batch, rows, key = [first], first.request.samples, first.model.together(first.request)
            for job in list(self._waiting):
                alike = key is not None and job.model.together(job.request) == key
                if alike and rows + job.request.samples <= self.batch:
                    self._waiting.remove(job)
                    batch.append(job)
                    rows += job.request.samples
            for job in batch:
                job.state = "running"
            self._running = batch
            return batch

    def _make(self, batch: list[Job]) -> list[list[Made]]:
        first = batch[0]
        if isinstance(first.request, SequenceRequest):
            return [first.model.sequence(first.request, self.judge)]
        if isinstance(first.request, EditRequest):
            return [first.model.edit(first.request, first.source.made.take, self.judge)]
        return first.model.generate([job.request for job in batch], self.judge)


class _Watch:
    """Follows the loops of a batch: tells its requests how far they are, and ends when all were cancelled."""

    def __init__(self, batch: list[Job]):
        request = batch[0].request
        self.batch = batch
        if isinstance(request, SequenceRequest):
            self.loops = request.samples * len(request.parts)
        else:
            self.loops = request.samples if isinstance(request, EditRequest) else request.best_of
        self.ended = 0

    def __call__(self, done: int, steps: int) -> None:
        if all(job.state == "cancelled" for job in self.batch):
            raise _Cancelled
        share = min(0.99, (self.ended + done / steps) / self.loops)
        self.ended += done == steps
        for job in self.batch:
            job.progress = share
