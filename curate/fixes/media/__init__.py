"""Media that are broken, or that the trainer shows otherwise than a viewer does, made anew beside the original."""
