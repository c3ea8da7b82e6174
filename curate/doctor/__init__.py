"""What is installed here, which of it cannot work together, and the cure: `curate doctor`."""
