"""The replay of one trainer: LLaMA-Factory with the transformers that it runs on."""
