"""The command that opens the studio."""

from pathlib import Path
from typing import Annotated

import typer

from atm.base.errors import InputError
from atm.base.limits import MOST
from atm.cli.app import app, examples


@app.command(
    epilog=examples(
        "atm studio",
        "atm studio runs/flow runs/baseline --port 9000",
        "atm studio --data scripted    (also shows the real motions nearest to a generated one)",
        "atm studio runs/flow --host 0.0.0.0 --no-browser    (others may ask; the token is printed)",
    )
)
def studio(
    models: Annotated[
        list[Path] | None, typer.Argument(help="Run folders or model files; default: the packaged model.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; beyond this machine a token is asked for.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any that is free.")] = 8000,
    token: Annotated[str | None, typer.Option(help="Token that clients send; default: a new one if needed.")] = None,
    space: Annotated[Path | None, typer.Option(help="Space that chooses the best of several motions.")] = None,
    queue: Annotated[
        int, typer.Option(min=1, max=MOST, help="Requests that may wait; more are told to come later.")
    ] = 16,
    data: Annotated[Path | None, typer.Option(help="Data folder whose test motions the page searches.")] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
) -> None:
    """Open a page where sentences become motions, with an HTTP API beside it; Ctrl-C ends it."""
    try:
        from atm.apps.studio.server import run_studio
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith(("fastapi", "starlette", "uvicorn")):
            raise
        raise InputError(f"atm studio needs {error.name}: pip install 'atm-motion[studio]'") from None
    run_studio(models or [], host=host, port=port, token=token, space=space, queue=queue, data=data, browser=browser)
