"""Golden files: inputs and outputs of the published systems.

A test asks for a file by name. `pytest tests/golden --golden DIR` reads another folder with the same names; a file
that is absent there skips its test, but a folder that holds none of the files fails the run.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str], dict[str, np.ndarray]]:
    """Reads a golden file by its name: `golden("features_synth22.npz")["joints"]`."""
    folder: Path = request.config.getoption("--golden")

    def read(name: str) -> dict[str, np.ndarray]:
        path = folder / name
        # A property of the test, so that the end of the session can tell whether any file was found.
        request.node.user_properties.append(("golden file", "found" if path.exists() else "absent"))
        if not path.exists():
            pytest.skip(f"no golden file {name} in {folder}")
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)

    return read
