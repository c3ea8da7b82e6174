"""Before a run: what it will take, and its worst batches through the real trainer."""
