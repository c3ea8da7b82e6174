"""What is added to the released LLaMA-Factory at its start: modules with `register()`; launcher.py starts it so."""
