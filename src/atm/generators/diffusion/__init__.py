"""What diffusion models share: noising, one denoising step, sampling."""
