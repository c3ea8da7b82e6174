"""Findings to words, nothing else."""
