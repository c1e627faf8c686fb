"""Floor 5: what people see. Results become figures and one self-contained page that can be archived."""
