"""Common parts of all commands: the application, options that several take, and the answer to bad input."""

import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from atm.base.errors import InputError, unknown
from atm.base.limits import LARGEST_SEED
from atm.base.signals import end_on_signals
from atm.base.threads import settle_threads

app = typer.Typer(
    help="Text-to-motion whose motion says what the sentence says.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="Make and look at data sets in the HumanML3D layout.", no_args_is_help=True)
app.add_typer(data_app, name="data")

Seed = Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="The same seed gives the same files.")]


def _allow_bars(quiet: bool) -> bool:
    from atm.base.progress import allow_bars

    allow_bars(not quiet)
    return quiet


def _allow_replacing(force: bool) -> bool:
    from atm.base.outputs import allow_replacing

    allow_replacing(force)
    return force


Force = Annotated[
    bool, typer.Option("--force", help="Replace files that atm did not write.", callback=_allow_replacing)
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.", callback=_allow_bars)]
Names = Annotated[str, typer.Option(help="Joint names of BVH, GLB, USD, FBX: humanml3d mixamo smpl unreal vrm.")]
Unit = Annotated[str, typer.Option(help="Unit of length of BVH and USD: m cm mm.")]
Rate = Annotated[
    float | None, typer.Option("--fps", help="Frames per second of skeleton files; default: the motion's.")
]
Up = Annotated[str, typer.Option(help="Upward axis of BVH, USD, FBX: y z.")]


def examples(*lines: str) -> str:
    """Return an epilog: one command per line, and square brackets that are no markup."""
    return "\n\n".join(["Examples:", *(line.replace("[", r"\[") for line in lines)])


def positive(name: str, value: float | None) -> None:
    if value is not None and not value > 0:
        raise InputError(f"{name} must be > 0, got {value}")


def run() -> None:
    """Run a command; bad input becomes one sentence on standard error and exit code 2."""
    settle_threads()
    warnings.showwarning = _show_warning
    if hasattr(sys.stdout, "reconfigure"):  # paths are printed as they were given, also those that are no UTF-8
        sys.stdout.reconfigure(errors="surrogateescape")
    try:
        with end_on_signals():
            sys.exit(app(prog_name="atm", standalone_mode=False))
    except TyperException as error:
        _fail(_misuse(error))
    except InputError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"the system refused: {error}")


_LONGEST = 4000
"""Characters of an error that are shown."""


def _fail(message: str) -> None:
    if len(message) > _LONGEST:  # what was given is part of it, and may be a file's whole content
        message = f"{message[: _LONGEST // 2]} ... {message[-_LONGEST // 2 :]}"
    if message:  # none where a group was named without a command: it has shown its help
        print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def _misuse(error: TyperException) -> str:
    """Return what typer says of a wrong command line, in one sentence; an unknown option is answered as any unknown
    name."""
    context = getattr(error, "ctx", None)
    if context is not None and hasattr(error, "possibilities"):
        names = [name for option in context.command.get_params(context) for name in option.opts]
        return str(unknown("option", error.option_name, [name for name in names if name.startswith("-")]))
    return error.format_message()


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    """Show a warning: our own are for users and need no line of code; those of libraries are for developers."""
    if "atm" in Path(filename).parts or category is UserWarning:
        print(f"warning: {message}", file=sys.stderr)


def _print_version(asked: bool) -> bool:
    if asked:
        import atm as package

        print(package.__version__)
        raise typer.Exit
    return asked


@app.callback()
def atm(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass
