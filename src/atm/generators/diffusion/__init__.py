"""Common parts of diffusion models: noising, one denoising step, sampling."""
