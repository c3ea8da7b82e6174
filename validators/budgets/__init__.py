"""Tokens as the trainer counts them: text by the model's tokenizer, media by its family's formula."""
