"""Methods: what trains the embedding (loss, mining, heads, sampling). `cards.py` lists them."""
