"""Small pictures of media: thumbnails, a frame of a video, the outline of a sound. Reads, never writes."""
