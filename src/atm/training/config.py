"""What a training run is: a model, data, an optimiser, and perhaps the alignment losses."""

from typing import Annotated, Literal

from pydantic import Field, SerializeAsAny, model_validator

from atm.alignment import AlignmentConfig
from atm.base.config import ByName, Config
from atm.models import config_class
from atm.training.distributed import Precision


class TrainConfig(Config):
    """One run of the training loop. `atm train PRESET key=value ...` changes any of these."""

    model: Annotated[SerializeAsAny[Config], ByName(config_class)]
    """What is trained: the config of a row of `atm.models`; `model.name` says which."""
    data: str | None = None
    """Data folder in the HumanML3D layout."""
    alignment: AlignmentConfig | None = None
    """The alignment losses; none is the baseline."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of weights, batches, noise and dropout. Two runs of one seed see the same batches."""
    steps: Annotated[int, Field(gt=0)] = 400_000
    """Optimiser steps in all."""
    batch_size: Annotated[int, Field(gt=0)] = 64
    """Motions of a step on each device: `--devices 4` with 16 trains on 64 motions a step."""
    pad_to: Annotated[int, Field(gt=0)] | None = None
    """Frames of every batch; none: its longest motion. Models that attend to padding need the published 196."""
    window: Annotated[int, Field(gt=0)] | None = None
    """Frames of a random window of each motion, under a caption of the whole motion; shorter motions are left out.
    None: whole motions."""
    sort_over: Annotated[int, Field(ge=1)] = 1
    """Batches among whose motions those of like length are put together, to compute less padding; 1: none."""
    alike_over: Annotated[int, Field(ge=1)] = 1
    """Batches among whose motions those that do the same actions are put together (ours): negatives that differ in a
    number, a side or a direction; 1: none. Not together with `sort_over`."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    """After the warm-up; constant, unless the fields below say otherwise."""
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    """Steps over which the learning rate rises linearly from 0."""
    milestones: tuple[Annotated[int, Field(gt=0)], ...] = ()
    """Steps from which on the learning rate is `milestone_factor` times what it was."""
    milestone_factor: Annotated[float, Field(gt=0, le=1)] = 0.1
    """What each milestone makes of the learning rate."""
    cosine_to: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Share of the learning rate that is left at the end, on half a cosine over all steps; none: no such decay."""
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    """Of AdamW: how slowly its averages of the gradient and of its square forget."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Of AdamW."""
    gradient_clip: Annotated[float, Field(gt=0)] | None = None
    """Largest norm of the gradient; none: not clipped."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay of the moving average of the weights, which then is the model that is saved; none: the weights."""
    precision: Precision = "auto"
    """Arithmetic of the model: `bf16-mixed`, `32-true`, or `auto`, bf16 on a GPU or a CPU that has units for it and
    float32 elsewhere; a run's config.yaml says which it became. The alignment losses are always in float32."""
    keep: Literal["last", "best"] = "last"
    """Which weights `model.safetensors` holds: the last, or those of the lowest validation loss."""
    validate_every: Annotated[int, Field(ge=0)] = 0
    """Steps between validation losses on the val split; 0: none."""
    log_every: Annotated[int, Field(gt=0)] = 20
    """Steps between lines of metrics.jsonl, each the mean since the last."""
    checkpoint_every: Annotated[int, Field(gt=0)] = 1000
    """Steps between checkpoints."""
    gradient_log_every: Annotated[int, Field(ge=0)] = 200
    """Steps between measurements of the two gradients (own loss, weighted alignment); 0: never."""

    @model_validator(mode="after")
    def _best_is_measured(self) -> "TrainConfig":
        if self.keep == "best" and not self.validate_every:
            raise ValueError("keep=best needs a validation loss: set validate_every, too")
        return self

    @model_validator(mode="after")
    def _windows_show_what_captions_count(self) -> "TrainConfig":
        weighed = self.alignment is not None and self.alignment.counterfactual.weight > 0
        whole = getattr(self.model, "needs_whole_motions", None)
        if self.window is not None and (weighed or (whole is not None and whole())):
            raise ValueError(
                f"a window of {self.window} frames does not show all that its caption counts: set either window or "
                "counterfactual captions"
            )
        return self

    @model_validator(mode="after")
    def _one_order_of_batches(self) -> "TrainConfig":
        if self.sort_over > 1 and self.alike_over > 1:
            raise ValueError("batches are put together by length or by action: set either sort_over=1 or alike_over=1")
        return self

    @model_validator(mode="after")
    def _windows_are_not_padded(self) -> "TrainConfig":
        if self.window is not None and self.pad_to is not None:
            raise ValueError(f"windows of {self.window} frames leave nothing to pad: set either window or pad_to")
        return self
