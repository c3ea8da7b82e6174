"""One page that shows a report: no other file, no network, nothing in the data that can act."""
