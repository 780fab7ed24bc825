"""The starter models that ship with gesso, the pictures they learn from, and the code that makes both."""
