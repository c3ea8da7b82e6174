"""Merges: what belongs together, what is put back, and what answers."""
