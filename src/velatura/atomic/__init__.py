"""Floor 1: elements, their lines and edges, and how matter attenuates X-rays. All from tables, nothing is fitted."""
