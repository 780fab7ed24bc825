"""How much of a caption the text encoder reads: 77 tokens for CLIP, begin and end among them."""

from pathlib import Path

from pipeline import families


class Ruler:
    """Measures captions by the base model's own tokenizer, the first one where there are two.

    `folder` is the located model's.
    """

    def __init__(self, folder: Path) -> None:
        # seconds of imports, which nobody needs who measures nothing
        from transformers import CLIPTokenizer

        part = families.of(folder).text_encoders[0]
        self._tokenizer = CLIPTokenizer.from_pretrained(folder / families.tokenizer_of(part), local_files_only=True)

    @property
    def longest(self) -> int:
        """Tokens that are read, begin and end among them."""
        return int(self._tokenizer.model_max_length)

    def read(self, caption: str) -> int:
        """Characters of the caption that are read; all of them where it is short enough."""
        found = self._tokenizer(caption, return_offsets_mapping=True, truncation=False, verbose=False)
        if len(found["input_ids"]) <= self.longest:
            return len(caption)
        # where the end belongs, the first token that is cut stands
        start: int = found["offset_mapping"][self.longest - 1][0]
        return len(caption[:start].rstrip())
