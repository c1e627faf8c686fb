"""Floor 1: scanner files in, maps out. `formats.py` knows every format; each format has a module of its own."""
