"""Colours of clusters, always the same for the same place in the order."""

PALETTE = (
    # Okabe & Ito, Color Universal Design (2008), without black
    *("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442"),
    # Tol, Colour Schemes, SRON/EPS/TN/09-002 (2021): muted, then light
    *("#332288", "#999933", "#882255", "#44aa99", "#ddcc77", "#cc6677", "#117733", "#aa4499", "#88ccee"),
    *("#ee8866", "#77aadd", "#bbcc33", "#ffaabb", "#44bb99", "#eedd88", "#aaaa00", "#99ddff"),
)
"""Told apart with the common kinds of colour blindness as far as so many can be; the first seven surely."""


def cluster_colours(clusters: int) -> list[str]:
    """Return one "#rrggbb" for each cluster; after 24 they come round again."""
    return [PALETTE[number % len(PALETTE)] for number in range(clusters)]
