"""Floor 5: which task feeds which. Each step leaves a result in the workspace and is not repeated without need."""
