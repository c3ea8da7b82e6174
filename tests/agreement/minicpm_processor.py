"""A stand-in for MiniCPM's processors, which are remote code that cannot be had here, and what their models do next.

Formulas: image_processing_minicpmv.py (get_sliced_grid, get_slice_image_placeholder: the same in V 2.6, V 4.5, o 2.6
and o 4.5), processing_minicpmo.py of o 2.6 and of o 4.5 (audio_feature_extract), modeling_minicpmv.py
(get_vllm_embedding), modeling_minicpmo.py (get_omni_embedding). LLaMA-Factory's own MiniCPMVPlugin is real and drives
them.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<unk>", "<image>", "</image>", "<slice>", "</slice>")
SPECIAL_TOKENS += ("<image_id>", "</image_id>", "<|audio_start|>", "<|audio|>", "<|audio_end|>", "<|spk_bos|>")
SPECIAL_TOKENS += ("<|spk|>", "<|spk_eos|>")
QUERIES = 64
HOP_LENGTH = 160
LONGEST_PIECE = 30  # seconds; longer sounds are cut into pieces for the encoder, not for the placeholder


@dataclass(frozen=True)
class Version:
    """What differs between the published models, as their preprocessor_config.json says it."""

    name: str
    audio_pool_step: int = 2
    chunks_audio: bool = True
    """o 2.6 honours chunk_input=True; o 4.5 has no such parameter and lets it fall into **kwargs."""

    def config(self) -> dict[str, Any]:
        """A preprocessor_config.json with the keys that decide lengths."""
        kind = "MiniCPMOProcessor" if self.name.startswith("o") else "MiniCPMVProcessor"
        return {
            "image_processor_type": "MiniCPMVImageProcessor",
            "processor_class": kind,
            "max_slice_nums": 9,
            "scale_resolution": 448,
            "patch_size": 14,
            "image_feature_size": QUERIES,
            "use_image_id": True,
            "slice_mode": True,
            "version": 4.5 if "4.5" in self.name else 2.6,
        } | ({"audio_pool_step": self.audio_pool_step} if self.name == "o-4.5" else {})


VERSIONS = {
    version.name: version
    for version in (Version("v-2.6"), Version("v-4.5"), Version("o-2.6"), Version("o-4.5", 5, False))
}


def save_model_folder(folder: Path, version: Version, texts: list[str]) -> None:
    """A tokenizer with Qwen2's splitting and MiniCPM's special tokens, and the version's preprocessor_config.json."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    pattern = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    split = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL_TOKENS])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|im_end|>", "bos_token": None}))
    (folder / "preprocessor_config.json").write_text(json.dumps(version.config()))
    kind = "minicpmo" if version.name.startswith("o") else "minicpmv"
    code = {"AutoModel": f"modeling_{kind}.MiniCPM"}  # as the published ones, whose classes no transformers has
    config = {"model_type": kind, "version": version.config()["version"], "auto_map": code}
    (folder / "config.json").write_text(json.dumps(config))


class MiniCPMImages:
    """Placeholders and slices of image_processing_minicpmv.py; one number stands for the pixels of a slice."""

    max_slice_nums, scale, patch, use_image_id, model_input_names = 9, 448, 14, True, ["pixel_values"]

    packs = True
    """Whether temporal_ids are taken, as by V 4.5; the older processors let them fall into **kwargs."""

    def __call__(
        self, images: list[Any], max_slice_nums: int, temporal_ids: list[list[list[int]]] | None = None, **_: Any
    ) -> dict[str, Any]:
        """Lists for each sample (or each video): slices, their sizes in patches, picture sizes; of V 4.5 also the
        temporal ids, one list for each output of the resampler: each slice of a pack of frames, or of one picture."""
        import torch

        nested = images if images and isinstance(images[0], list) else [images]
        slices = []
        for group in nested:
            if group and group[0].height in (1, 3):  # infer_channel_dimension_format takes them for channels
                raise ValueError("mean must have 14 elements if it is an iterable, got 3")
            pixels = [torch.tensor([brightness(image)]) for image in group]
            counts = [1 + self.extra(image.size, max_slice_nums) for image in group]
            slices.append([shown for shown, count in zip(pixels, counts, strict=True) for _ in range(count)])
        sizes = [[image.size for image in group] for group in nested]
        targets = [torch.ones((len(group), 2), dtype=torch.int32) for group in slices]
        made = {"pixel_values": slices, "image_sizes": sizes, "tgt_sizes": targets}
        if self.packs:
            made["temporal_ids"] = []
            for number, group in enumerate(nested):
                ids = [[-1]] * len(group) if temporal_ids is None else temporal_ids[number]
                assert sum(map(len, ids)) == len(group)
                starts = [sum(map(len, ids[:at])) for at in range(len(ids))]
                outputs = [1 + self.extra(group[start].size, max_slice_nums) for start in starts]
                made["temporal_ids"].append(
                    [pack for pack, count in zip(ids, outputs, strict=True) for _ in range(count)]
                )
        return made

    def extra(self, size: tuple[int, int], most: int) -> int:
        """Slices beside the overview."""
        grid = self.grid(size, most)
        return 0 if grid is None else grid[0] * grid[1]

    def grid(self, size: tuple[int, int], most: int) -> list[int] | None:
        """get_sliced_grid."""
        width, height = size
        ratio = math.log(width / height)
        multiple = min(math.ceil(width * height / self.scale**2), most)
        if multiple <= 1:
            return None
        counts = [number for number in (multiple - 1, multiple, multiple + 1) if number != 1 and number <= most]
        grids = [[m, n // m] for n in counts for m in range(1, n + 1) if n % m == 0]
        best, least = [1, 1], float("inf")
        for grid in grids:
            error = abs(ratio - math.log(grid[0] / grid[1]))
            if error < least:
                best, least = grid, error
        return best

    def get_slice_image_placeholder(self, size: tuple[int, int], index: int, most: int, use_id: bool) -> str:
        """One image's text."""
        text = (f"<image_id>{index}</image_id>" if use_id else "") + "<image>" + "<unk>" * QUERIES + "</image>"
        grid = self.grid(size, most)
        if grid is not None:
            line = ("<slice>" + "<unk>" * QUERIES + "</slice>") * grid[0]
            text += "\n".join([line] * grid[1])
        return text


def brightness(image: Any) -> float:
    """The mean of an image, from 0 to 1; the published processor turns every image into pixels, too."""
    return float(image.convert("L").resize((1, 1), 4).getpixel((0, 0))) / 255  # 4: a box filter


class MiniCPMProcessor:
    """What MiniCPMVPlugin asks of a processor. The feature extractor is transformers' own Whisper one."""

    def __init__(self, tokenizer: Any, version: Version) -> None:
        from transformers import WhisperFeatureExtractor

        self.tokenizer, self.version = tokenizer, version
        self.image_processor = MiniCPMImages()
        self.image_processor.packs = version.name == "v-4.5"
        self.feature_extractor = WhisperFeatureExtractor()
        name_ids(tokenizer)

    def pooled(self, frames: int) -> int:
        """Embeddings of so many 10 ms frames: a stride-2 convolution, then the pooling layer."""
        pool = self.version.audio_pool_step
        return ((frames - 1) // 2 + 1 - pool) // pool + 1

    def placeholder(self, samples: int) -> str:
        """get_audio_placeholder."""
        total = self.pooled(math.ceil(samples / HOP_LENGTH))
        if not self.version.chunks_audio:
            return "<|audio_start|>" + "<unk>" * total + "<|audio_end|>"
        step, text = self.pooled(100), ""
        for chunk in range((total + step - 1) // step):
            text += "<|audio_start|>" + "<unk>" * min(step, total - chunk * step) + "<|audio_end|>"
        return text

    def audio_feature_extract(
        self, audios: list[list[Any]], chunk_input: bool, sampling_rate: int
    ) -> tuple[Any, list[list[int]], list[list[str]]]:
        """Features are zeros (they are only numbers), unless the real extractor may refuse: a rate, a bare click."""
        import torch

        lengths: list[list[int]] = []
        texts = []
        for group in audios:
            pieces = []
            for audio in group:
                if len(audio) < 400 or sampling_rate != self.feature_extractor.sampling_rate:
                    self.feature_extractor(
                        [audio], sampling_rate=sampling_rate, return_attention_mask=True, return_tensors="pt"
                    )
                most = LONGEST_PIECE * sampling_rate
                pieces += [min(most, len(audio) - start) for start in range(0, max(len(audio), 1), most)]
            lengths.append([math.ceil(piece / HOP_LENGTH) for piece in pieces])
            texts.append([self.placeholder(len(audio)) for audio in group])
        return torch.zeros((sum(map(len, lengths)), 80, 1)), lengths, texts


def name_ids(tokenizer: Any) -> None:
    """What MiniCPM's own tokenizer classes name."""
    ids = {"im_start": "<image>", "im_end": "</image>", "slice_start": "<slice>", "slice_end": "</slice>"}
    ids |= {"audio_start": "<|audio_start|>", "audio_end": "<|audio_end|>"}
    ids |= {"spk_start": "<|spk_bos|>", "spk_end": "<|spk_eos|>"}
    for name, token in ids.items():
        setattr(tokenizer, f"{name}_id", tokenizer.convert_tokens_to_ids(token))


def embed(batch: dict[str, Any], processor: MiniCPMProcessor) -> None:
    """Put the media's embeddings, here one number wide, where the model puts them; raises where it would.

    `batch` is what the collator gives under "data". Images (get_vllm_embedding): the ranges of all bounds of a row are
    stacked, so that they must be equally long, and scattered, so that there must be embeddings for all. Fewer bounds
    than images pass unseen. V 4.5 joins the ranges, so that they may differ in length, and has an embedding for each
    list of temporal ids instead of one for each slice. Audio (get_omni_embedding, with chunk_input of o 2.6's
    config.json and stream_input of o 4.5's, which are both true): all sounds of a row joined, and bound after bound
    filled from them; o 4.5 takes one row at a time.
    """
    import torch

    ids = batch["input_ids"]
    width = 1
    texts = torch.zeros((*ids.shape, width))
    counts = [len(values) for values in batch["pixel_values"]]
    embeddings = sum(map(len, batch["temporal_ids"])) if "temporal_ids" in batch else sum(counts)
    seen, start = [], 0
    for count in counts:
        seen.append(max(min(count, embeddings - start), 0))
        start += count
    for row, text in enumerate(texts):
        if seen[row] and len(batch["image_bound"][row]):
            source = torch.zeros((seen[row] * QUERIES, width))
            ranges = [torch.arange(int(start), int(end), dtype=torch.long) for start, end in batch["image_bound"][row]]
            indices = torch.cat(ranges) if processor.version.name == "v-4.5" else torch.stack(ranges)
            text.scatter_(0, indices.view(-1, 1).repeat(1, width), source)
    if "audio_bounds" not in batch:
        return
    assert processor.version.chunks_audio or len(texts) == 1, "audio stream_input mode only support batch size 1"
    for row, text in enumerate(texts):
        lengths = [max(processor.pooled(int(frames)), 0) for frames in batch["audio_feature_lens"][row]]
        heard, at = torch.cat([torch.zeros((length, width)) for length in lengths]), 0
        for bound in batch["audio_bounds"][row]:
            first, last = int(bound[0]), int(bound[1])
            text[first:last] = heard[at : at + last - first]
            at += last - first


def load_processor(folder: Path, version: Version) -> MiniCPMProcessor:
    """The stand-in over a folder of `save_model_folder`."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"),
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token="<unk>",
        padding_side="right",
    )
    return MiniCPMProcessor(tokenizer, version)
