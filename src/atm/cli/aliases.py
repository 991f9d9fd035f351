"""Names that options have in other programs of the field, taken where the option means the same, and not shown."""

from typing import Any

import typer.core

_OF_SAMPLING = {
    "--num_samples": "--samples",
    "--num_repetitions": "--samples",
    "--repeat_times": "--samples",
    "--motion_length": "--seconds",
    "--duration": "--seconds",
    "--guidance_param": "--guidance",
}
"""MDM's words, MoMask's and Kimodo's; `--motion_length` is in seconds, as MDM has it."""


class SamplingCommand(typer.core.TyperCommand):
    """A command that samples motions, and knows the field's names of its options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put our names in the place of the field's; what stands behind `--` is no option."""
        end = args.index("--") if "--" in args else len(args)
        return super().parse_args(ctx, [*map(_ours, args[:end]), *args[end:]])


def _ours(word: str) -> str:
    name, equals, value = word.partition("=")
    return _OF_SAMPLING.get(name, name) + equals + value
