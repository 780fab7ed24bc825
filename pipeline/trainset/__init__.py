"""The training set: sizes, captions, latents and text embeddings, named by the digest of what is in it."""
