"""Whether a CLIP finds the picture that a caption tells of, among others."""

import torch
from transformers import CLIPModel, CLIPProcessor

from pipeline.metrics.example_loss import batches
from pipeline.trainset.pixels import PixelExamples, shown

DESCRIPTION = "How often a CLIP finds a caption's own picture among all that are measured (recall at 1)."
UNIT = "100 where it does, else 0; the mean is a percentage"
HIGHER_IS_BETTER = True


@torch.no_grad()
def measure(clip: CLIPModel, examples: PixelExamples, processor: CLIPProcessor) -> list[float]:
    """100 for each row whose caption scores its own picture, or one of the same caption, higher than all others."""
    count = len(examples.rows)
    seen, said = [torch.zeros(0)] * count, [torch.zeros(0)] * count
    for rows in batches(examples):
        batch = examples.batch(rows)
        text = processor.tokenizer(list(batch.captions), padding=True, truncation=True, return_tensors="pt")
        made = clip(pixel_values=shown(batch, processor, device=clip.device), **text.to(clip.device))
        for row, picture, caption in zip(rows, made.image_embeds.cpu(), made.text_embeds.cpu(), strict=True):
            seen[row], said[row] = picture, caption
    captions = [row["caption"] for row in examples.rows]
    best = (torch.stack(said) @ torch.stack(seen).T).argmax(dim=1).tolist()
    return [100.0 if captions[one] == captions[row] else 0.0 for row, one in enumerate(best)]
