"""Facts of one media file, from its header."""
