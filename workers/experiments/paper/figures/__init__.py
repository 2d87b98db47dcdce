"""The paper's figures, one file each: its claim, `run` that measures, `judge` that compares."""
