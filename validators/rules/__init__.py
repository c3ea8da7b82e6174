"""One file per rule family; registry.py is the one table of codes."""
