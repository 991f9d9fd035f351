"""Text-to-motion generators: one published model per folder; `atm.models` is the table of them."""
