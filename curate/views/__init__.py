"""Looking at data: what is in a dataset, what a row is made of, what two datasets have different. Changes nothing."""
