"""Runs: what is written down of each (run.json), and how they are found, compared and drawn. No torch."""
