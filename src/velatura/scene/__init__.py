"""Floor 3: painted scenes with a known truth, and the spectra that they send to a detector."""
