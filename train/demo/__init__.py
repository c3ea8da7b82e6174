"""Models that the demo trains and that transformers has no classes for."""
