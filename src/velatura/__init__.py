"""Velatura: from a MA-XRF scanner's file to hidden-painting maps."""
