"""Gesso's library: from a pile of pictures to a training set, a fine-tuned model and the report about both."""

__version__ = "0.1.0"
