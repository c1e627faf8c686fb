"""Floor 2: from a stack of paint layers to the spectrum that a scanner counts; matter, tube, fluorescence, detector."""
