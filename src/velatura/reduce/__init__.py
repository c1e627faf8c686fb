"""Floor 2: fewer numbers a pixel. Energy bins, scalings for counts, principal components of a streamed cube."""
