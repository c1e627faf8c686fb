"""Floor 0: the cube, the workspace, blocks of pixels, and the errors everyone may raise."""
