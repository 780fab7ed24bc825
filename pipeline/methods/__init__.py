"""The ways to fine-tune; one file each, and its name is the method's name in a recipe."""
