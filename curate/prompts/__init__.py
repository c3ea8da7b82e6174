"""Questions and system prompts for rows that come without: templates, ready-made sets, and the choice among them."""
