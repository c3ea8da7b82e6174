"""Media on their way into a build: found, fetched, stored by content, made uniform."""
