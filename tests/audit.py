"""Ask for known weaknesses of the pinned packages: `python tests/audit.py`, as `make lint` does.

Ends with 1 where there is one. Where nobody can be asked (no network, an index without advisories, no pip-audit) it
says so in one line and ends with 0, since that is no fault of the project.
"""

import json
import subprocess
import sys
from pathlib import Path

CONSTRAINTS = Path(__file__).parent.parent / "constraints.txt"
SECONDS = 300


def main() -> int:
    """Audit the constraints; return the exit code."""
    words = ["-r", str(CONSTRAINTS), "--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json"]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pip_audit", *words], capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        print(f"audit: no answer in {SECONDS} s; nothing was audited")
        return 0
    lines, code = told(done.stdout, done.stderr)
    print(*lines, sep="\n")
    return code


def told(output: str, error: str) -> tuple[list[str], int]:
    """Return what to say of pip-audit's answer, and the exit code.

    Args:
        output: its JSON; empty where it could not ask.
        error: what it wrote beside.
    """
    try:
        packages = json.loads(output)["dependencies"]
    except (ValueError, KeyError):
        last = (error.strip().splitlines() or ["no answer"])[-1]
        return [f"audit: nobody could be asked, nothing was audited ({last[:200]})"], 0
    weak = [
        f"audit: {one['name']} {one['version']} has {', '.join(said['id'] for said in one['vulns'])}: mended in "
        f"{', '.join(sorted({version for said in one['vulns'] for version in said['fix_versions']})) or 'no version'}"
        for one in packages
        if one.get("vulns")
    ]
    asked = sum("vulns" in one for one in packages)
    if not asked:
        return ["audit: the index knows no advisories or is not reached, nothing was audited"], 0
    return [*weak, f"audit: {asked} of {len(packages)} pinned packages were asked for, {len(weak)} are weak"], int(
        bool(weak)
    )


if __name__ == "__main__":
    sys.exit(main())
