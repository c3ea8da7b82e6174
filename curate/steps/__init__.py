"""What a recipe does to rows between reading and writing: one module a step, pure functions on frames."""
