"""What goes to disk or to the Hub: whole, or not at all."""
