"""The client of docs/http-api.md, run as it stands against a studio."""

import re
from pathlib import Path

import atm
from atm.apps.bench.serve import serving
from atm.apps.studio.jobs import Workshop
from atm.apps.studio.made import Judge
from atm.apps.studio.models import StudioModel

PAGE = Path(__file__).parents[2] / "docs" / "http-api.md"


def test_the_client_of_the_page_gets_its_motions(tmp_path, monkeypatch, capsys, model):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    with serving(StudioModel(model, "tiny"), Workshop(Judge(atm.load_space()))) as port:
        exec(compile(code.replace("127.0.0.1:8000", f"127.0.0.1:{port}"), PAGE.name, "exec"), {})
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2 and all(line.startswith("2.0 ") for line in said)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 2 and all("ROOT mixamorigHips" in file.read_text() for file in files)
