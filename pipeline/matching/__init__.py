"""Whether texts tell of pictures, as models see it: CLIP, and BLIP's own head for that."""
