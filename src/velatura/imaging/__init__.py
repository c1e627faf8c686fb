"""Images and colours: pure functions on arrays."""
