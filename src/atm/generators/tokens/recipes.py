"""How MoMask and BAMM train their transformers."""

BETAS = (0.9, 0.99)
"""AdamW's betas, in all but the length estimator (published)."""
SMALL_TRANSFORMER = {
    "steps": 3000,
    "batch_size": 64,
    "learning_rate": 5e-4,
    "warmup_steps": 100,
    "betas": BETAS,
    "weight_decay": 1e-5,
    "ema": 0.999,
    "sort_over": 8,
    "gradient_log_every": 0,
}
"""Recipe of a small transformer of tokens, whichever (ours)."""
