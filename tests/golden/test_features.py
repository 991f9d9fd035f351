"""Motion features against the published data tools, in both directions."""

import torch

from atm.motion import joints_from_features, skeleton_of_width


def test_x(golden):
    z = golden("features_synth22.npz")
    x = torch.from_numpy(z["features"])
    torch.testing.assert_close(joints_from_features(x, skeleton_of_width(x.shape[-1])), torch.from_numpy(z["recover_ric"]))
