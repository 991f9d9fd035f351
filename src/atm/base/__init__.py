"""Foundation of all packages: errors, configs, model files, the cache, progress bars, plugins, packaged weights."""
