"""The ways to train; one file each, and its name is the method's name in a recipe.

A method is a module:

    DESCRIPTION: str      one line for `gesso list methods`
    LEARNS: str           which part of the base model it changes: unet, vae, clip or blip
    EXAMPLES: str         what it trains on: latents (with text embeddings) or pixels (with captions)
    train(model, examples, [helper,] settings, *, folder, say, on_checkpoint, header, progress) -> Result
    load(model, folder)   the base model with trained weights, where it lies

The helper is the noise schedule of a unet, and the processor of a clip or blip. What trains on pixels also has
`losses(model, batch, [helper])`, its loss of each example with nothing drawn.
"""
