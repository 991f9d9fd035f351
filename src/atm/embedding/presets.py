"""The spaces that have a name."""

from atm.embedding.config import SpaceConfig

MINILM_EPSILON = 0.99
"""Epsilon where `minilm` gives the sentence embeddings. The paper's 0.85 belongs to a larger model: "left" for
"right" can leave a cosine of 0.98, a full stop one of 0.997, and of the scripted pairs above 0.85 three of four mean
different motions, which the space must learn to tell apart. See docs/results/epsilon.md."""


def space_humanml3d() -> SpaceConfig:
    """TMR as published, with the paper's epsilon, and crops."""
    return SpaceConfig()


def space_kit() -> SpaceConfig:
    """The same for KIT-ML. Ours reads KIT's own 251 features; the published TMR turned KIT into 263 at 20 fps."""
    return space_humanml3d()


def space_small() -> SpaceConfig:
    """For two CPU cores, with the language model that comes with the package.

    Ours, not TMR's: four frames (0.2 s) make a token, and the decoder, which costs most of a training step because
    it decodes texts and motions, has half as many layers as the encoders. It trains on the latents' means: drawn
    ones made the contrastive term of a short run start late (1.8 instead of 0.3 nats at step 150 of a synthetic
    run). `epsilon` is `MINILM_EPSILON`, not the paper's.
    """
    return space_humanml3d().model_copy(
        update={
            "width": 128,
            "feed_forward": 384,
            "layers": 4,
            "decoder_layers": 2,
            "frames_per_token": 4,
            "text_encoder": "minilm",
            "sentence_encoder": "minilm",
            "epsilon": MINILM_EPSILON,
            "sample_latents": False,
        }
    )
