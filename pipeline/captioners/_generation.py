"""Sentences about pictures by a BLIP or BLIP-2 of transformers: the best of a beam, or drawn."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessorList

from pipeline.captioners._looking import ready
from pipeline.captioners._nucleus import Nucleus
from pipeline.manifest import Row


@dataclass(frozen=True)
class Seen:
    """A picture as the model takes it: `pixels` channels x height x width, and a name by its content for draws."""

    pixels: Tensor
    name: str


@dataclass(frozen=True)
class Writer:
    """Writes up to `candidates` sentences a picture, of at most `max_tokens` tokens, after a `prompt`.

    The likeliest of `num_beams` beams, or, with `top_p`, drawn ones: the n-th of a picture hangs on the seed, the
    picture and n alone. BLIP's sentence begins with the prompt; BLIP-2 is asked it, and its answer is the sentence.
    """

    model: Any
    processor: Any
    prompt: str
    max_tokens: int
    num_beams: int
    top_p: float | None
    candidates: int
    seed: int

    def look(self, row: Row) -> Seen:
        """A row's `pixels` made ready."""
        pixels = ready(self.processor.image_processor, row["pixels"])
        drawn = self.top_p is not None
        return Seen(pixels, hashlib.sha256(pixels.float().numpy().tobytes()).hexdigest() if drawn else "")

    @torch.inference_mode()
    def write(self, seen: Sequence[Seen]) -> list[list[str]]:
        """The different sentences about each picture, best first: by the beam's score, or by how likely its words are.

        Without room for a batch it raises what torch raises.
        """
        pixels = torch.stack([one.pixels for one in seen]).to(self.model.device, self.model.dtype)
        inputs = {"pixel_values": pixels, **self._asked(len(seen))}
        how: dict[str, Any] = {"max_new_tokens": self.max_tokens, "max_length": None}
        if self.top_p is None:
            how |= {"do_sample": False, "num_beams": self.num_beams, "num_return_sequences": self.candidates}
            ids = self._new(self.model.generate(**inputs, **how))
            return self._told(ids)
        seeds = [f"{self.seed} {number} {one.name}" for one in seen for number in range(self.candidates)]
        nucleus = Nucleus(self.top_p, seeds)
        how |= {"do_sample": True, "num_beams": 1, "top_k": 0, "top_p": 1.0, "temperature": 1.0}
        how |= {"num_return_sequences": self.candidates, "logits_processor": LogitsProcessorList([nucleus])}
        # it draws from the words that Nucleus left, which is one, and yet takes a number of the global stream
        with torch.random.fork_rng(devices=[self.model.device] if self.model.device.type == "cuda" else []):
            ids = self._new(self.model.generate(**inputs, **how))
        padding = self.processor.tokenizer.pad_token_id
        likely = nucleus.likelihoods([int((row[self._kept :] != padding).sum()) for row in ids])
        return self._told(ids, likely)

    @property
    def _blip2(self) -> bool:
        return bool(self.model.config.model_type == "blip-2")

    @property
    def _kept(self) -> int:
        """Tokens of the prompt that `_new` leaves before a sentence's own."""
        return len(self._prompt_ids) - 1 if self.prompt and not self._blip2 else 0

    @property
    def _prompt_ids(self) -> list[int]:
        """BLIP's tokens of the prompt without the end, which would end the sentence: the first says "begin"."""
        return list(self.processor.tokenizer(self.prompt)["input_ids"])[:-1]

    def _asked(self, count: int) -> dict[str, Tensor]:
        if self._blip2:
            config = self.model.config
            # the processors of older models do not know how many places pictures take
            words = list(self.processor.tokenizer(self.prompt)["input_ids"])
            asked = [config.image_token_id] * config.num_query_tokens + words
        elif not self.prompt:
            return {}
        else:
            asked = [*self._prompt_ids, self.model.config.text_config.sep_token_id]
        ids = torch.tensor([asked] * count, device=self.model.device)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    def _new(self, ids: Tensor) -> Tensor:
        """Without what only begins a sentence: a token, or of a BLIP-2 that reads on, all that it was asked."""
        if self._blip2 and not self.model.language_model.config.is_encoder_decoder:
            return ids[:, self._asked(1)["input_ids"].shape[1] :]
        return ids[:, 1:]

    def _told(self, ids: Tensor, likely: Sequence[float] | None = None) -> list[list[str]]:
        texts = [" ".join(one.split()) for one in self.processor.batch_decode(ids, skip_special_tokens=True)]
        found = []
        for start in range(0, len(texts), self.candidates):
            places = range(start, start + self.candidates)
            ranked = places if likely is None else sorted(places, key=lambda place: -likely[place])
            found.append(list(dict.fromkeys(texts[place] for place in ranked)))
        return found
