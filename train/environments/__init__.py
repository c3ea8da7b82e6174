"""Which environment runs the trainer: the user's own, or one that `curate env` makes from a lock."""
