"""Which model family trains with which versions, and the locked environments that hold them."""
