"""Floor 4: training of any network: one loop, checkpoints, run folders, scores, weights in files."""
