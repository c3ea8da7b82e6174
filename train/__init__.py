"""Use: the thin module over LLaMA-Factory. torch and llamafactory appear only here."""
