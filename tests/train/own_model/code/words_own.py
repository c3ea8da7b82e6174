"""What the model says: imported by its code alone, from beside it."""


def seen(part: object) -> str:
    """A part of a turn in a word."""
    if isinstance(part, str):
        return part
    size = getattr(part, "size", None)
    return f"image {size[0]}x{size[1]}" if isinstance(size, tuple) else f"sound {len(part)}"
