"""A MiniCPM in miniature, with code of its own as the published models have it.

train/tiny.py copies these files into the model folder that it makes, from where the trainer loads them with
trust_remote_code: so they import each other by relative names alone, and nothing of this project. Written from the
published formulas; the shapes, keys and names that LLaMA-Factory relies on are those of MiniCPM-V 4.5 (Qwen3) and
MiniCPM-o 2.6 (Qwen2 and Whisper's encoder).
"""
