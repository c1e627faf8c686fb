"""Floor 4: the verbs that turn a cube into maps; each takes arrays and returns an xarray Dataset."""
