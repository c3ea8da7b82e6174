"""The networks: an encoder of patches, a resampler over space and time, a language model; an encoder of sound in o.

`forward` takes LLaMA-Factory's batch as one argument, and puts the features into the ranges that `image_bound` and
`audio_bounds` name: the names of methods and modules are those that the trainer and its freezing rely on.
"""

from itertools import chain
from typing import Any

import torch
from torch import nn
from transformers import AutoProcessor, Qwen2ForCausalLM, Qwen2PreTrainedModel, Qwen3ForCausalLM, Qwen3PreTrainedModel
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from .configuration_minicpm import MiniCPMOConfig, MiniCPMVConfig
from .processing_minicpm import AUDIO, IMAGE

NO_TIME = -1
ENDS = ("<|im_end|>", "<|endoftext|>")


def waves(places: torch.Tensor, width: int) -> torch.Tensor:
    """Sines and cosines of places, `width` numbers for each (Vaswani et al. 2017, halves side by side)."""
    rates = 10000.0 ** -(torch.arange(width // 2, dtype=torch.float32) / (width / 2))
    angles = places.float()[..., None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def square(side: int, width: int) -> torch.Tensor:
    """Waves of columns beside waves of rows: side x side x width."""
    line = waves(torch.arange(side), width // 2)
    return torch.cat([line[None].expand(side, -1, -1), line[:, None].expand(-1, side, -1)], dim=-1).contiguous()


class Attention(nn.Module):
    """Self-attention with the projections' usual names."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """x: batch x patches x width; mask: batch x patches, true where there is a patch."""
        q, k, v = (
            part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.q_proj, self.k_proj, self.v_proj)
        )
        seen = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])
        return self.out_proj(seen.transpose(1, 2).flatten(2))


class VisionLayer(nn.Module):
    """Attention and a small network, each behind a norm."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        width = config.hidden_size
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.self_attn = Attention(width, config.num_attention_heads)
        self.mlp = nn.Sequential(
            nn.Linear(width, config.intermediate_size), nn.GELU("tanh"), nn.Linear(config.intermediate_size, width)
        )

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """x: batch x patches x width."""
        x = x + self.self_attn(self.layer_norm1(x), mask)
        return x + self.mlp(self.layer_norm2(x))


class VisionTransformer(nn.Module):
    """SigLIP's encoder over images of any shape (NaViT): positions by an image's share of a square of places."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.side = config.image_size // config.patch_size
        self.patch_embedding = nn.Conv2d(3, config.hidden_size, config.patch_size, config.patch_size)
        self.position_embedding = nn.Embedding(self.side**2, config.hidden_size)
        self.layers = nn.ModuleList([VisionLayer(config) for _ in range(config.num_hidden_layers)])
        self.post_layernorm = nn.LayerNorm(config.hidden_size)

    def forward(self, packed: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
        """packed: batch x 3 x patch x (patches * patch), zero behind an image's end; sizes: batch x (rows, columns)."""
        x = self.patch_embedding(packed).flatten(2).transpose(1, 2)
        mask = torch.arange(x.shape[1], device=x.device)[None] < sizes.prod(1, keepdim=True).to(x.device)
        places = torch.zeros(x.shape[:2], dtype=torch.long, device=x.device)
        for number, (rows, columns) in enumerate(sizes.tolist()):
            down, across = (torch.arange(n, device=x.device) * self.side // n for n in (rows, columns))
            places[number, : rows * columns] = (down[:, None] * self.side + across).flatten()
        x = x + self.position_embedding(places)
        for layer in self.layers:
            x = layer(x, mask)
        return self.post_layernorm(x)


class Resampler(nn.Module):
    """Learnt queries over the patches of an image, or of a whole pack of frames: so many outputs for each."""

    pos_embed: torch.Tensor

    def __init__(self, queries: int, width: int, heads: int, seen: int, side: int = 70, moments: int = 72000) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(queries, width) * 0.02)
        self.kv_proj = nn.Linear(seen, width, bias=False)
        self.attn = nn.MultiheadAttention(width, heads)
        self.ln_q, self.ln_kv, self.ln_post = (nn.LayerNorm(width, eps=1e-6) for _ in range(3))
        self.proj = nn.Parameter(torch.randn(width, width) * width**-0.5)
        self.register_buffer("pos_embed", square(side, width), persistent=False)
        self.register_buffer("temporal_pos_embed", waves(torch.arange(moments), width), persistent=False)

    def forward(
        self, x: torch.Tensor, sizes: torch.Tensor, temporal_ids: list[list[int]] | None = None
    ) -> torch.Tensor:
        """x: slices x patches x seen; temporal_ids: packs of slices; gives packs x queries x width."""
        x = self.ln_kv(self.kv_proj(x))
        if (longest := int(sizes.max())) > len(self.pos_embed):  # an image much longer than wide
            self.pos_embed = square(longest, x.shape[-1]).to(x.device)
        packs = [[NO_TIME]] * len(x) if temporal_ids is None else temporal_ids
        keys, values, start = [], [], 0
        for pack in packs:
            spread = []
            for number, moment in enumerate(pack, start):
                rows, columns = sizes[number].tolist()
                key = x[number, : rows * columns] + self.pos_embed[:rows, :columns].reshape(rows * columns, -1).to(
                    x.dtype
                )
                spread.append(key if moment == NO_TIME else key + self.temporal_pos_embed[moment].to(x.dtype))
            held = [x[number, : int(sizes[number].prod())] for number in range(start, start + len(pack))]
            keys.append(torch.cat(spread))
            values.append(torch.cat(held))
            start += len(pack)
        lengths = torch.tensor([len(key) for key in keys], device=x.device)
        k, v = (nn.utils.rnn.pad_sequence(part) for part in (keys, values))  # patches x packs x width
        beyond = torch.arange(len(k), device=x.device)[None] >= lengths[:, None]
        q = self.ln_q(self.query)[:, None].expand(-1, len(packs), -1)
        out = self.attn(q, k, v, key_padding_mask=beyond, need_weights=False)[0]
        return self.ln_post(out.transpose(0, 1)) @ self.proj


class Seeing:
    """What MiniCPM-V and MiniCPM-o share: images into the text, the trainer's forward, generate and chat."""

    config: Any
    join: Any
    """How the ranges of a row's images become one list of places."""

    def build(self, llm: nn.Module) -> None:
        """The modules, under the names that LLaMA-Factory freezes by (model_utils/visual.py)."""
        config, width = self.config, self.config.hidden_size
        self.llm = llm
        self.vpm = VisionTransformer(config.vision_config)
        self.resampler = Resampler(config.query_num, width, max(width // 16, 1), config.vision_config.hidden_size)
        self.processor = None

    def get_input_embeddings(self) -> nn.Module:
        """The language model's."""
        return self.llm.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """The language model's."""
        self.llm.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        """The language model's head."""
        return self.llm.lm_head

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        """The language model's head."""
        self.llm.lm_head = new_embeddings

    def get_decoder(self) -> nn.Module:
        """The language model."""
        return self.llm

    def get_vllm_embedding(self, data: dict[str, Any]) -> tuple[torch.Tensor, list[Any]]:
        """Embeddings of the text with those of images in their ranges, and the images' own, row by row.

        Each row gets as many of the resampler's outputs as it has lists of pixel values, as the published code has it.
        """
        embedded = self.get_input_embeddings()(data["input_ids"])
        slices = list(chain(*data["pixel_values"]))
        seen: list[Any] = [[] for _ in data["pixel_values"]]
        if slices:
            columns = [each.to(embedded).flatten(end_dim=1).T for each in slices]
            joined = nn.utils.rnn.pad_sequence(columns, batch_first=True)  # slices x columns x (3 * patch)
            packed = joined.transpose(1, 2).unflatten(1, (3, -1))
            sizes = torch.vstack([each for each in data["tgt_sizes"] if isinstance(each, torch.Tensor)])
            given = data.get("temporal_ids")
            outputs = self.resampler(self.vpm(packed, sizes), sizes, None if given is None else list(chain(*given)))
            start = 0
            for row, values in enumerate(data["pixel_values"]):
                seen[row] = outputs[start : start + len(values)]
                start += len(values)
        rows = []
        for row, text in enumerate(embedded):
            features = seen[row].reshape(-1, text.shape[-1]).to(text) if len(seen[row]) else text[:0]
            ranges = [torch.arange(int(start), int(end)) for start, end in data["image_bound"][row]]
            if len(features) and ranges:
                places = self.join(ranges).flatten().to(text.device)
                rows.append(text.scatter(0, places[:, None].expand(-1, text.shape[-1]), features))
            else:  # the encoders take part in the step nonetheless
                rows.append(text + features.sum() * 0)
        return torch.stack(rows), seen

    def embed(self, data: dict[str, Any]) -> torch.Tensor:
        """The language model's input: batch x tokens x width."""
        return self.get_vllm_embedding(data)[0]

    def forward(self, data: Any = None, **kwargs: Any) -> Any:
        """LLaMA-Factory's batch in `data`, labels beside it; with inputs by name, those."""
        if data is None:
            data = dict(kwargs)
        for key in ("input_ids", "inputs_embeds", "pixel_values", "image_bound", "tgt_sizes", "position_ids"):
            kwargs.pop(key, None)
        return self.llm(inputs_embeds=self.embed(data), position_ids=data["position_ids"].long(), **kwargs)

    @torch.inference_mode()
    def generate(
        self,
        input_ids: Any = None,
        attention_mask: torch.Tensor | None = None,
        tokenizer: Any = None,
        decode_text: bool = False,
        **kwargs: Any,
    ) -> Any:
        """New tokens, or with `decode_text` their texts."""
        names = (
            "pixel_values",
            "tgt_sizes",
            "image_bound",
            "temporal_ids",
            "audio_features",
            "audio_feature_lens",
            "audio_bounds",
        )
        data = {"input_ids": input_ids} | {name: kwargs.pop(name) for name in names if name in kwargs}
        data.setdefault("pixel_values", [[] for _ in data["input_ids"]])
        made = self.llm.generate(
            inputs_embeds=self.embed(data),
            attention_mask=attention_mask,
            pad_token_id=self.config.pad_token_id,
            eos_token_id=[tokenizer.convert_tokens_to_ids(end) for end in ENDS],
            **kwargs,
        )
        return [tokenizer.decode(row, skip_special_tokens=True).strip() for row in made] if decode_text else made

    def chat(
        self,
        image: Any = None,
        msgs: Any = None,
        tokenizer: Any = None,
        processor: Any = None,
        max_new_tokens: int = 2048,
        sampling: bool = True,
        max_slice_nums: int | None = None,
        use_image_id: bool | None = None,
        temporal_ids: Any = None,
        system_prompt: str = "",
        enable_thinking: bool = False,
        **kwargs: Any,
    ) -> str:
        """The answer to `msgs`: turns with a text or a list of texts, images (PIL) and, in o, sounds (arrays)."""
        if processor is None:
            processor = self.processor or AutoProcessor.from_pretrained(
                self.config._name_or_path, trust_remote_code=True
            )
            self.processor = processor
        turns = [{"role": "system", "content": system_prompt}] if system_prompt else []
        images, audios = [], []
        for number, message in enumerate(msgs):
            content = message["content"]
            parts = [content] if not isinstance(content, list) else list(content)
            if image is not None and number == 0:
                parts.insert(0, image)
            words = []
            for part in parts:
                if isinstance(part, str):
                    words.append(part)
                elif hasattr(part, "resize") and hasattr(part, "convert"):
                    images.append(part)
                    words.append(IMAGE)
                else:
                    audios.append(part)
                    words.append(AUDIO)
            turns.append({"role": message["role"], "content": "\n".join(words)})
        tokenizer = tokenizer or processor.tokenizer
        text = tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=True, enable_thinking=enable_thinking
        )
        inputs = processor(
            text, images, audios, max_slice_nums=max_slice_nums, use_image_id=use_image_id, temporal_ids=temporal_ids
        )
        wanted = {
            key: kwargs[key]
            for key in kwargs.keys() & {"temperature", "top_p", "top_k", "num_beams", "repetition_penalty"}
        }
        made = self.generate(
            **inputs, tokenizer=tokenizer, decode_text=True, do_sample=sampling, max_new_tokens=max_new_tokens, **wanted
        )
        return str(made[0])


class MiniCPMV(Seeing, Qwen3PreTrainedModel):
    """MiniCPM-V 4.5."""

    config_class = MiniCPMVConfig
    join = staticmethod(torch.cat)  # of ranges of any lengths

    def __init__(self, config: MiniCPMVConfig) -> None:
        super().__init__(config)
        self.build(Qwen3ForCausalLM(config))


class Projector(nn.Module):
    """Two layers from the audio encoder's width to the language model's."""

    def __init__(self, heard: int, width: int) -> None:
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(heard, width), nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: pieces x places x heard."""
        return self.linear2(self.linear1(x).relu())


class MiniCPMO(Seeing, Qwen2PreTrainedModel):
    """MiniCPM-o 2.6 without the part that speaks."""

    config_class = MiniCPMOConfig
    join = staticmethod(torch.stack)  # of ranges of one length

    def __init__(self, config: MiniCPMOConfig) -> None:
        super().__init__(config)
        self.build(Qwen2ForCausalLM(config))
        if config.init_audio:
            self.apm = WhisperEncoder(config.audio_config)
            self.audio_projection_layer = Projector(config.audio_config.d_model, config.hidden_size)
            self.audio_avg_pooler = nn.AvgPool1d(config.audio_pool_step, config.audio_pool_step)

    def get_audio_embedding(self, data: dict[str, Any]) -> list[torch.Tensor]:
        """Embeddings of all sounds of a row, joined: places x width."""
        features, lengths = data["audio_features"], data["audio_feature_lens"]
        most = 2 * self.config.audio_config.max_source_positions
        mels = nn.functional.pad(features, (0, most - features.shape[-1])).to(self.apm.conv1.weight)
        pooled = self.audio_avg_pooler(self.audio_projection_layer(self.apm(mels)[0]).transpose(1, 2)).transpose(1, 2)
        rows, piece, pool = [], 0, self.config.audio_pool_step
        for row in lengths:
            kept = [max((int(frames) - 1) // 2 + 1 - pool, -pool) // pool + 1 for frames in row]
            joined = [pooled[piece + number, :count] for number, count in enumerate(kept)]
            rows.append(torch.cat(joined) if joined else pooled[:0].flatten(0, 1))
            piece += len(row)
        return rows

    def embed(self, data: dict[str, Any]) -> torch.Tensor:
        """With sounds in the ranges of audio_bounds, one after the other."""
        embedded = super().embed(data)
        if not len(data.get("audio_features", [])):
            return embedded
        rows = []
        for row, sounds in enumerate(self.get_audio_embedding(data)):
            text, at = embedded[row].clone(), 0
            for start, end in data["audio_bounds"][row].tolist():
                text[start:end] = sounds[at : at + end - start].to(text)
                at += end - start
            rows.append(text)
        return torch.stack(rows)
