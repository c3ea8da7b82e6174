"""What a run remembers of every row, in a few bytes: enough to tell equal rows, questions, answers and media apart."""
