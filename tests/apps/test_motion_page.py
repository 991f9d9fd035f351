"""The page of one motion hands the motion out."""

import base64
import re

import numpy as np

import atm


def test_the_page_of_a_motion_hands_out_files_that_hold_it(model, tmp_path):
    take = model.generate("a person walks", seconds=2)
    page = take.save(tmp_path / "walk.html").read_text(encoding="utf-8")
    links = re.findall(r'<a download="([^"]+)" href="data:application/octet-stream;base64,([^"]+)"', page)
    assert [name for name, _ in links] == ["motion.bvh", "motion.glb", "motion.npz"]
    for name, content in links:
        (tmp_path / name).write_bytes(base64.b64decode(content))
    np.testing.assert_allclose(atm.load_motion(tmp_path / "motion.npz").joints, take.joints, atol=1e-5)
    assert (tmp_path / "motion.bvh").read_bytes() == take.save(tmp_path / "again.bvh").read_bytes()
    assert len(atm.load_motion(tmp_path / "motion.glb")) == len(take)


def test_the_page_knows_which_foot_stands_in_each_frame(model, tmp_path):
    take = model.generate("a person walks", seconds=2)
    page = take.save(tmp_path / "walk.html").read_text(encoding="utf-8")
    feet = re.search(r'"contacts":\["([01]+)","([01]+)"\]', page).groups()
    assert [[bit == "1" for bit in foot] for foot in feet] == take.contacts.T.tolist()


def test_in_a_notebook_the_viewer_carries_no_files(model):
    assert "download=" not in model.generate("a person walks", seconds=1)._repr_html_()
