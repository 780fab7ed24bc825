"""Review: what machines propose goes out as a table, what people decide comes back and stays."""
