"""Small texts that stand where a medium should be."""

from __future__ import annotations

from pathlib import Path

from validators.probes.reading import read_at

HEAD = 512
POINTER_START = b"version https://git-lfs.github.com/spec/"
PAGES = (b"<!doctype html", b"<html", b"<head", b"<body")
POINTER, DRAWING = "a Git LFS pointer, not the file", "an SVG drawing"
ERRORS = (b"<?xml", b"<error", b"{")


def placeholder(path: Path) -> str:
    """What a file that is no medium holds, "" where its start tells nothing."""
    try:
        with path.open("rb", buffering=0) as file:
            start = read_at(file.fileno(), HEAD, 0)
    except OSError:
        return ""
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith(POINTER_START):
        return POINTER
    if text.startswith(PAGES):
        return "a web page"
    if b"<svg" in text:
        return DRAWING
    if text.startswith(ERRORS):
        return "a text, as servers send it with an error"
    return ""
