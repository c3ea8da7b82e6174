"""A first train yaml, DeepSpeed file and merge yaml from a build and a model: what `curate init` writes."""
