"""What a build keeps between builds: finished parts, placed media, and hashes of files."""
