"""A trained model held against its base: the same held-out rows answered by both, by the trainer itself."""
