"""What every room stands on: errors, configs, model files, the cache, progress bars, plugins, packaged weights."""
