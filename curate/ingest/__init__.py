"""One file per raw format, each to the canonical Arrow schema."""
