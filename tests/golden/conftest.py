"""Golden files: inputs and outputs of the published systems.

A test asks for a file by name and compares its own results with the file's arrays by their keys. `pytest tests/golden
--golden DIR` reads another folder with the same names, whose files may have other sizes, other inputs, and more or
fewer keys. Then

- a file that is absent skips its test, but a folder that holds none of the files fails the run;
- a key that a file lacks is left out of the comparison and named at the end of the run;
- an input that a file lacks fails the test, which names it;
- a test that compared nothing is skipped, and a file of which no test compared anything fails the run.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

OPENED = pytest.StashKey[list["GoldenFile"]]()


class GoldenFile(Mapping[str, np.ndarray]):
    """The arrays of a golden file. Remembers what was compared, and what was asked for and is not there."""

    def __init__(self, name: str, arrays: dict[str, np.ndarray]):
        self.name = name
        self.compared: list[str] = []
        self.lacking: list[str] = []
        self.read: set[str] = set()
        self._arrays = arrays

    def __getitem__(self, key: str) -> np.ndarray:
        """Return an array that the test starts from."""
        if key not in self._arrays:
            pytest.fail(f"golden file {self.name} has no array {key!r}, which this test needs; it has {self._names()}")
        self.read.add(key)
        return self._arrays[key]

    def __contains__(self, key: object) -> bool:
        return key in self._arrays

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def starts_with(self, *keys: str) -> None:
        """Skip the test if the file lacks any of these arrays, which files of this name need not have."""
        absent = [key for key in keys if key not in self]
        if absent:
            self.lacking += absent
            pytest.skip(f"golden file {self.name} has no {', '.join(absent)}")

    def expected(self, key: str) -> np.ndarray | None:
        """Return an array that the test is about to compare; None where the file has none, which is reported."""
        if key not in self:
            self.lacking.append(key)
            return None
        self.compared.append(key)
        return self[key]

    def numbered(self, pattern: str) -> list[tuple[str, int]]:
        """Return the keys that fit a pattern, each with the number in it, such as the steps of `after_25_steps`."""
        found = [(key, re.fullmatch(pattern, key)) for key in self]
        return [(key, int(match.group(1))) for key, match in found if match]

    def compare(
        self,
        key: str,
        actual: object,
        *,
        rtol: float = 1e-4,
        atol: float = 0.0,
        rms: float = 0.0,
        view: Callable[[np.ndarray], object] = np.asarray,
        inside: object = None,
        lengths: object = None,
    ) -> None:
        """Compare a result with the file's array, if it has one.

        Args:
            key: of the array.
            actual: what ours gives, of the very shape of the array.
            rtol: tolerance, as a share of each expected value.
            atol: tolerance, as it is.
            rms: tolerance, as a share of the expected values' root mean square.
            view: puts the file's array in our layout.
            inside: boolean mask of what is compared, of the first dimensions; None: everything.
            lengths: frames of each motion, where the second dimension is time: what stands behind them is not compared,
                and either side may be padded to any length.
        """
        found = self.expected(key)
        if found is None:
            return
        ours, theirs = _numbers(actual), _numbers(view(found))
        if lengths is not None:
            ours, theirs = _inside(ours, lengths), _inside(theirs, lengths)
        if inside is not None:
            ours, theirs = ours[np.asarray(inside)], theirs[np.asarray(inside)]
        assert ours.shape == theirs.shape, f"{self.name}: {key} has the shape {theirs.shape}, ours {ours.shape}"
        if theirs.size:
            atol += rms * np.sqrt(np.mean(theirs**2))
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol, err_msg=f"{self.name}: {key}")

    def same(
        self,
        key: str,
        actual: object,
        *,
        view: Callable[[np.ndarray], object] = np.asarray,
        inside: object = None,
    ) -> None:
        """Compare what must be equal: numbers of tokens, levels and places, names, masks. Arguments as of `compare`."""
        found = self.expected(key)
        if found is None:
            return
        ours, theirs = np.asarray(actual), np.asarray(view(found))
        if inside is not None:
            ours, theirs = ours[np.asarray(inside)], theirs[np.asarray(inside)]
        np.testing.assert_array_equal(ours, theirs, err_msg=f"{self.name}: {key}", strict=False)
        assert ours.shape == theirs.shape, f"{self.name}: {key} has the shape {theirs.shape}, ours {ours.shape}"

    def _names(self) -> str:
        return ", ".join(self._arrays)


def _numbers(values: object) -> np.ndarray:
    if hasattr(values, "detach"):
        values = values.detach()
    return np.asarray(values, dtype=np.float64)


def _inside(values: np.ndarray, lengths: object) -> np.ndarray:
    """All frames of all motions in one row."""
    counts = np.asarray(lengths)
    assert len(values) == len(counts) and values.shape[1] >= counts.max(), (
        f"expected {len(counts)} motions of up to {counts.max()} frames, got an array of {values.shape}"
    )
    return np.concatenate([motion[:count] for motion, count in zip(values, counts, strict=True)])


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[..., GoldenFile]:
    """Reads a golden file by its name: `golden("features_synth22.npz")["joints"]`.

    With `given=True` the file gives inputs alone: that nothing of it is compared is no fault.
    """
    folder: Path = request.config.getoption("--golden")

    def read(name: str, *, given: bool = False) -> GoldenFile:
        path = folder / name
        # Properties of the test, so that the end of the session can tell what was found in which files.
        request.node.user_properties.append(("golden file", "found" if path.exists() else "absent"))
        if not path.exists():
            pytest.skip(f"no golden file {name} in {folder}")
        with np.load(path, allow_pickle=False) as arrays:
            file = GoldenFile(name, dict(arrays))
        if not given:
            request.node.stash.setdefault(OPENED, []).append(file)
        return file

    return read


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """A test that read golden files and compared nothing says so, whatever else it found in order."""
    try:
        result = yield
    finally:
        files = pyfuncitem.stash.get(OPENED, [])
        for file in files:
            pyfuncitem.user_properties.append(("golden compared", (file.name, len(file.compared))))
            pyfuncitem.user_properties += [("golden lacks", (file.name, key)) for key in file.lacking]
    if files and not any(file.compared for file in files):
        lacking = [f"{file.name} has no {', '.join(file.lacking)}" for file in files if file.lacking]
        if lacking:
            pytest.skip(f"nothing to compare: {'; '.join(lacking)}")
        pytest.fail(f"nothing of {', '.join(file.name for file in files)} was compared")
    return result
