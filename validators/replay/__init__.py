"""What becomes of each row, in the trainer's order."""
