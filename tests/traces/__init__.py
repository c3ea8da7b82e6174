"""What is remembered of rows, and what is found with it."""
