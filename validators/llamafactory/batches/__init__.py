"""Batches of the run: the sampler's order, the rows of each batch, and what the collator makes of them."""
