"""What `make lint` says of known weaknesses: one is red, and nobody to ask is not."""

import json

from audit import told

GOOD, SKIPPED = {"name": "numpy", "version": "2.4.6", "vulns": []}, {"name": "torch", "skip_reason": "not found"}
WEAK = {"name": "pillow", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}


def answer(*packages: dict) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_a_known_weakness_is_named_and_red():
    lines, code = told(answer(GOOD, WEAK, SKIPPED), "")
    assert code == 1
    assert lines == [
        "audit: pillow 1.0 has PYSEC-1: mended in 1.1", "audit: 2 of 3 pinned packages were asked for, 1 are weak"
    ]  # fmt: skip


def test_no_known_weakness_is_green():
    assert told(answer(GOOD, GOOD), "") == (["audit: 2 of 2 pinned packages were asked for, 0 are weak"], 0)


def test_an_index_that_is_not_reached_is_told_in_one_line_and_is_no_fault():
    assert told(answer(SKIPPED, SKIPPED), "")[1] == 0
    for error in ("", "Traceback\nrequests.ConnectionError: no route", "No module named pip_audit"):
        lines, code = told("", error)
        assert code == 0 and len(lines) == 1 and "nothing was audited" in lines[0]
