"""Ways to reach a language model: one file each, one protocol (base.py), one list of names (catalogue.py)."""
