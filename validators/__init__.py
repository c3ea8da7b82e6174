"""Judgement: reads data and settings, predicts what the trainer will do, and never writes."""
