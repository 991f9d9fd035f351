"""Everything that starts from paths and names: one module or folder per command."""
