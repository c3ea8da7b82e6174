"""Tool lists and tool calls as the text that the trainer makes of them."""
