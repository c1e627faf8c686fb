"""Floor 6: the command line. A verb is a typed function: load, one call to the floors below, save."""
