"""A merge: checked before it is made, proven afterwards."""
