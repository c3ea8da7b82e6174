"""What the released LLaMA-Factory lacks, added at its start: `python -m train.plugins.NAME train x.yaml`."""
