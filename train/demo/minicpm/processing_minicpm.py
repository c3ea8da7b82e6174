"""Texts, images and sounds to the inputs of the model's own `generate`.

LLaMA-Factory writes its own texts, and asks only for the parts.
"""

import math
import re
from typing import Any

import torch
from transformers.image_processing_utils import BatchFeature
from transformers.processing_utils import ProcessorMixin

IMAGE, AUDIO = "(<image>./</image>)", "(<audio>./</audio>)"
LONGEST = 30  # seconds that the audio encoder takes at once


def bounds(ids: torch.Tensor, opening: list[int], closing: list[int]) -> torch.Tensor:
    """Places between marks: n x 2, from the first after the opening one to the closing one."""
    starts = torch.where(torch.isin(ids, torch.tensor(opening)))[0] + 1
    ends = torch.where(torch.isin(ids, torch.tensor(closing)))[0]
    return torch.hstack([starts[:, None], ends[:, None]])


def pooled(frames: int, pool: int) -> int:
    """Embeddings of so many 10 ms frames: a convolution with stride 2, then the pooling layer."""
    return ((frames - 1) // 2 + 1 - pool) // pool + 1


class MiniCPMVProcessor(ProcessorMixin):
    """Images and videos."""

    attributes = ["image_processor", "tokenizer"]
    image_processor_class = "AutoImageProcessor"
    tokenizer_class = "AutoTokenizer"

    def __init__(self, image_processor: Any = None, tokenizer: Any = None, **kwargs: Any) -> None:
        super().__init__(image_processor, tokenizer)
        self.version = image_processor.version

    def __call__(
        self,
        text: Any,
        images: Any = None,
        audios: Any = None,
        max_slice_nums: int | None = None,
        use_image_id: bool | None = None,
        temporal_ids: Any = None,
        max_length: int | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """One row: a text with a mark for each image or frame and each sound, the lists of both."""
        (text,), (images,) = ([text], [images]) if isinstance(text, str) else (text, images or [[]])
        made: dict[str, Any] = {"pixel_values": [[]], "tgt_sizes": [[]], "temporal_ids": [[]]}
        if images:
            seen = self.image_processor(images=[images], max_slice_nums=max_slice_nums, temporal_ids=temporal_ids)
            skipped, sizes = set(seen["skip_image_idx"][0]), seen["image_sizes"][0]
            places = [
                ""
                if number in skipped
                else self.image_processor.get_slice_image_placeholder(size, number, max_slice_nums, use_image_id)
                for number, size in enumerate(sizes)
            ]
            text = filled(text, IMAGE, places)
            made = {key: seen[key] for key in made}
        if audios:
            features, lengths, places = self.audio_feature_extract([audios], chunk_input=True, sampling_rate=16000)
            text = filled(text, AUDIO, places[0])
            made |= {"audio_features": features, "audio_feature_lens": lengths}
        ids = torch.tensor(self.tokenizer.encode(text)[:max_length])
        named = self.tokenizer
        opening, closing = [named.im_start_id, named.slice_start_id], [named.im_end_id, named.slice_end_id]
        made |= {"input_ids": ids[None], "attention_mask": torch.ones_like(ids)[None]}
        made["image_bound"] = [bounds(ids, opening, closing)]
        if audios:
            made["audio_bounds"] = [bounds(ids, [named.audio_start_id], [named.audio_end_id])]
        return BatchFeature(made)

    @property
    def model_input_names(self) -> list[str]:
        """Keys of the inputs."""
        return [*self.tokenizer.model_input_names, *self.image_processor.model_input_names]


class MiniCPMOProcessor(MiniCPMVProcessor):
    """Sounds, too."""

    attributes = ["image_processor", "feature_extractor", "tokenizer"]
    feature_extractor_class = "WhisperFeatureExtractor"

    def __init__(
        self, image_processor: Any = None, feature_extractor: Any = None, tokenizer: Any = None, **kwargs: Any
    ) -> None:
        ProcessorMixin.__init__(self, image_processor, feature_extractor, tokenizer)
        self.version = image_processor.version
        self.pool_step = 2

    def get_audio_placeholder(self, samples: int, chunk_input: bool = True) -> str:
        """A sound's text: with `chunk_input` marks around each second."""
        total = max(pooled(math.ceil(samples / self.feature_extractor.hop_length), self.pool_step), 0)
        step = pooled(100, self.pool_step) if chunk_input else max(total, 1)
        start, end = self.tokenizer.audio_start, self.tokenizer.audio_end
        return "".join(f"{start}{'<unk>' * min(step, total - at)}{end}" for at in range(0, total, step))

    def audio_feature_extract(
        self, audios: list[list[Any]], chunk_input: bool = False, sampling_rate: int = 16000, **kwargs: Any
    ) -> tuple[Any, list[torch.Tensor], list[list[str]]]:
        """Mel frames of all pieces of at most 30 s (pieces x mels x frames), their lengths and texts row by row."""
        mels, lengths = [], []
        for row in audios:
            row_lengths = []
            for audio in row:
                for at in range(0, len(audio), LONGEST * sampling_rate):
                    piece = audio[at : at + LONGEST * sampling_rate]
                    found = self.feature_extractor(
                        [piece],
                        sampling_rate=sampling_rate,
                        return_attention_mask=True,
                        return_tensors="pt",
                        padding="max_length",
                    )
                    length = int(found["attention_mask"].sum())
                    mels.append(found["input_features"][0, :, :length].T)
                    row_lengths.append(length)
            lengths.append(torch.tensor(row_lengths, dtype=torch.long))
        texts = [[self.get_audio_placeholder(len(audio), chunk_input) for audio in row] for row in audios]
        if not mels:
            return [], lengths, texts
        return torch.nn.utils.rnn.pad_sequence(mels, batch_first=True).transpose(1, 2), lengths, texts


def filled(text: str, mark: str, places: list[str]) -> str:
    """A text with each mark replaced by its own place; ValueError unless there are as many of both."""
    if text.count(mark) != len(places):
        raise ValueError(f"{text.count(mark)} marks {mark} and {len(places)} media")
    waiting = iter(places)
    return re.sub(re.escape(mark), lambda _: next(waiting), text)
