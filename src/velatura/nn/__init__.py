"""Floor 3: networks as Equinox modules, written for one spectrum, mapped over many by the caller; no data, no loss."""
