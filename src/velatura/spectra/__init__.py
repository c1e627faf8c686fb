"""Floor 2: spectra: energy calibration, repair, background, peaks, and the fit of lines."""
