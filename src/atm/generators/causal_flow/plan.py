"""The plan of a motion: which actions in which order, and how many frames each takes, as numbers for networks.

Actions one after the other on a line of time, as users of animation tools lay them out (timeline control, Petrovich et
al. 2024, arXiv:2401.08559); here the model writes the plan itself, from the sentence (`planner.py`). A motion whose
actions are not known has one action, `other`, for all its time.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from atm.motion.program import Action, Direction, Path, Program, Side, Speed, TimedAction, Timeline, Verb

OTHER = "other"
"""Verb of a motion whose actions are not known."""
MOST_ACTIONS = 6
"""Most actions of a plan: two of them done three times in turn (ours)."""
_COUNTS = tuple(range(1, 21))
_DEGREES = (45.0, 60.0, 90.0, 120.0, 135.0, 180.0, 270.0, 360.0)

VALUES: dict[str, tuple] = {
    "verb": (OTHER, *get_args(Verb)),
    "count": _COUNTS,
    "side": get_args(Side),
    "direction": get_args(Direction),
    "path": get_args(Path),
    "degrees": _DEGREES,
    "speed": get_args(Speed),
}
"""Fields of an action and their values; number 0 of each field is none, and value i of the list is number i + 1."""
SIZES = tuple(len(values) + 1 for values in VALUES.values())
"""Numbers of each field, none included."""

_TRAVELS = ("walk", "run")
_UNCOUNTED = (OTHER, "turn", "stand")
_ALWAYS: dict[str, tuple[str, ...]] = {
    "count": tuple(verb for verb in VALUES["verb"] if verb not in _UNCOUNTED),
    "side": ("hop", "kick", "punch", "wave", "raise_arms"),
    "direction": (*_TRAVELS, "jump", "hop", "turn", "kick", "punch"),
    "path": _TRAVELS,
    "degrees": ("turn",),
    "speed": VALUES["verb"][1:],
}
"""Verbs that always have a field: an action as it is performed says it, whether a sentence does or not."""
NEEDED = torch.tensor(
    [[False] * len(VALUES)] + [[name == "verb" or verb in _ALWAYS[name] for name in VALUES] for verb in VALUES["verb"]]
)
"""True where a verb, by its number, always has a field."""

_ONLY: dict[str, dict[str, tuple[str, ...]]] = {
    "side": dict.fromkeys(("hop", "kick"), ("left", "right")),
    "direction": {
        **dict.fromkeys(_TRAVELS, ("forward", "backward", "left", "right")),
        **dict.fromkeys(("jump", "hop"), ("up", "forward")),
        "turn": ("left", "right"),
        **dict.fromkeys(("kick", "punch"), ("forward",)),
    },
}
"""Values that verbs can have, of fields where that is not all."""


def _possible(name: str) -> Bool[Tensor, "V N"]:
    values, only = VALUES[name], _ONLY.get(name, {})
    rows = [[True] + [value in only.get(verb, values) for value in values] for verb in (None, *VALUES["verb"])]
    return torch.tensor(rows)


POSSIBLE = tuple(_possible(name) for name in VALUES)
"""True where a verb, by its number, can have a value of a field, by its number; in the order of `VALUES`."""

_UNDONE = ("sit_down", "stand_up", "lie_down", "get_up")
"""Verbs between two of whose repetitions the way back lies."""
OPEN = -1
"""Number of a field that is not given."""
SPANS = 3
"""Spans of an action: before its first repetition, all repetitions, after the last."""
FEATURES = 2 * 16
"""Width of `features`."""


class Plan(NamedTuple):
    """Plans of B motions, of up to K actions each."""

    fields: Int[Tensor, "B K F"]
    """Numbers of `VALUES`, in its order; a verb of 0 is no action."""
    spans: Float[Tensor, "B K 3"]
    """Frames before the first repetition, of all repetitions, and after them; 0 behind the last action."""

    def to(self, device: torch.device | str) -> "Plan":
        """Return the plan on a device."""
        return Plan(self.fields.to(device), self.spans.to(device))

    @property
    def ends(self) -> Float[Tensor, "B K"]:
        """Return the frame at which each action ends."""
        return self.spans.sum(-1).cumsum(-1)

    @property
    def many(self) -> Int[Tensor, "B"]:
        """Return how many actions each plan has."""
        return (self.fields[..., 0] > 0).sum(-1)


def asked_turns(plan: Plan) -> Float[Tensor, "B K"]:
    """Return how far each action of a plan turns, in radians to the right; 0 where it asks for no turn."""
    number = {name: plan.fields[..., column] for column, name in enumerate(VALUES)}
    degrees = torch.tensor((0.0, *_DEGREES), device=plan.fields.device)[number["degrees"]]
    # Turns have a direction; curves and circles go forward, to a side.
    right, left = (
        sum((number[name] == 1 + VALUES[name].index(way)).to(degrees.dtype) for name in ("side", "direction"))
        for way in ("right", "left")
    )
    return torch.deg2rad(degrees) * (right - left)


def plan_of(timelines: Sequence[Timeline | None], lengths: Int[Tensor, "B"], fps: float) -> Plan:
    """Return plans of motions: what is known of them, or `other` for all their time.

    Args:
        timelines: of each motion; None: its actions are not known. Parts before frame 0 and behind the motion's end
            are cut off.
        lengths: frames of the motions.
        fps: frames of a second.
    """
    fields = torch.zeros(len(timelines), MOST_ACTIONS, len(VALUES), dtype=torch.long)
    spans = torch.zeros(len(timelines), MOST_ACTIONS, SPANS)
    for row, (timeline, length) in enumerate(zip(timelines, lengths.tolist(), strict=True)):
        inside = _inside(timeline or (), length / fps)
        if not 0 < len(inside) <= MOST_ACTIONS:
            fields[row, 0, 0] = 1
            spans[row, 0, 0] = length
            continue
        for place, timed in enumerate(inside):
            fields[row, place] = torch.tensor(_numbers(timed.action))
            begin = 0.0 if place == 0 else timed.begin
            end = length / fps if place == len(inside) - 1 else timed.end
            first, last = (timed.marks[0], timed.marks[-1]) if timed.marks else (end, end)
            first = min(max(first, begin), end)
            last = min(max(last, first), end)
            spans[row, place] = fps * torch.tensor([first - begin, last - first, end - last])
    return Plan(fields, spans)


def given_fields(programs: Sequence[Program | None]) -> Int[Tensor, "B K F"]:
    """Return the numbers that programs fix, and `OPEN` for what they leave open.

    Args:
        programs: what motions shall do, without what is not asked for; None, or more actions than a plan has: all is
            open.
    """
    given = torch.full((len(programs), MOST_ACTIONS, len(VALUES)), OPEN)
    for row, program in enumerate(programs):
        if program is None or not 0 < len(program.actions) <= MOST_ACTIONS:
            continue
        given[row, len(program.actions) :] = 0
        for place, action in enumerate(program.actions):
            numbers = torch.tensor(_numbers(_on_its_way(action)))
            always = [name == "verb" or action.verb in _ALWAYS[name] for name in VALUES]
            given[row, place] = torch.where((numbers == 0) & torch.tensor(always), OPEN, numbers)
    return given


def _on_its_way(action: Action) -> Action:
    """Return who walks or runs with a path: straight unless a curve is asked for, which goes forward and to a side."""
    if action.verb not in _TRAVELS:
        return action
    if action.path not in ("curve", "circle"):
        return replace(action, path="straight", side=None)
    degrees = 360.0 if action.path == "circle" else action.degrees or 90.0
    return replace(action, direction="forward", side=action.side or "left", degrees=degrees)


def timelines_of(plan: Plan, fps: float) -> list[Timeline]:
    """Return plans as structured data, without those actions that are `other`."""
    timelines = []
    for fields, spans, end in zip(plan.fields.tolist(), plan.spans / fps, plan.ends / fps, strict=True):
        actions = []
        for place, numbers in enumerate(fields):
            if numbers[0] < 2:
                continue
            named = {
                name: values[number - 1] if number else None
                for (name, values), number in zip(VALUES.items(), numbers, strict=True)
            }
            action = Action(**{**named, "speed": named["speed"] or "normal"})
            before, work, _ = spans[place].tolist()
            begin = end[place].item() - spans[place].sum().item()
            repeated = _repetitions(action.verb, action.count)
            marks = [begin + before + work * done / repeated for done in range(repeated + 1)] if repeated else []
            actions.append(TimedAction(action, begin, tuple(marks), end[place].item()))
        timelines.append(tuple(actions))
    return timelines


def repetitions(fields: Int[Tensor, "*b F"]) -> Int[Tensor, "*b"]:
    """Return how many parts of equal length the second span of each action has."""
    table = torch.tensor(
        [[0] * SIZES[1]] + [[_repetitions(verb, count) for count in (None, *_COUNTS)] for verb in VALUES["verb"]],
        device=fields.device,
    )
    return table[fields[..., 0], fields[..., 1]]


def _repetitions(verb: str, count: int | None) -> int:
    if verb in (OTHER, "stand"):
        return 0
    if verb == "turn":
        return 1
    return 2 * (count or 1) - 1 if verb in _UNDONE else count or 1


def features(plan: Plan, latents: int, frames: int) -> tuple[Float[Tensor, "B N C"], Int[Tensor, "B N"]]:
    """Return where each latent of a motion is in its plan, and which action it belongs to.

    Args:
        plan: of the motions.
        latents: N, of the longest motion.
        frames: of a latent.

    Returns:
        `FEATURES` numbers near 1: at the latent's first and last frame, the time since and until the action's borders
        and its first and last repetition, and the phase and number of repetitions; and the place of the action.
    """
    ends = plan.ends
    middle = (torch.arange(latents, device=ends.device) + 0.5) * frames
    last = (plan.many - 1).clamp(min=0)
    place = (middle[None, :, None] >= ends[:, None]).sum(-1).minimum(last[:, None])
    fields, spans = (part.take_along_dim(place[..., None], dim=1) for part in plan)
    end = ends.take_along_dim(place, dim=1)
    begin = end - spans.sum(-1)
    first, done = begin + spans[..., 0], end - spans[..., 2]
    repeated = repetitions(fields).to(end.dtype)
    columns = []
    for frame in (middle - 0.5 * frames + 0.5, middle + 0.5 * frames - 0.5):
        share = ((frame - first) / (done - first).clamp(min=1e-3)).clamp(0, 1)
        number = share * repeated
        left = repeated - number
        working = ((frame >= first) & (frame < done) & (repeated > 0)).to(end.dtype)
        around = [frame - begin, end - frame, frame - first, done - frame]
        columns += [0.05 * away.clamp(-20, 20) for away in around] + [0.01 * away.clamp(-200, 200) for away in around]
        for cycles in (number, 0.5 * number):
            angle = 2 * torch.pi * cycles
            columns += [working * angle.sin(), working * angle.cos()]
        columns += [share, number.clamp(max=2) / 2, left.clamp(max=2) / 2, working]
    return torch.stack(columns, dim=-1), place


def _inside(timeline: Timeline, seconds: float) -> list[TimedAction]:
    """Return the actions that a crop shows most of."""
    return [
        timed for timed in timeline if min(timed.end, seconds) - max(timed.begin, 0.0) > 0.5 * (timed.end - timed.begin)
    ]


def _numbers(action: Action) -> list[int]:
    return [_number(name, getattr(action, name)) for name in VALUES]


def _number(name: str, value: object) -> int:
    """Return the number of a value; a count or an angle that has none is the nearest that has."""
    values = VALUES[name]
    if value is None:
        return 0
    if name in ("count", "degrees"):
        return 1 + min(range(len(values)), key=lambda place: abs(values[place] - value))
    return 1 + values.index(value)
