"""Deduplication: which pictures are the same or look alike. It writes edges and never drops a row."""
