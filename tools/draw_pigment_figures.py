"""Draw the pictures of docs/identification.md from a workspace with pigment maps, such as the demo's.

    velatura demo -o demo
    python tools/draw_pigment_figures.py demo/panel.zarr --to docs

Writes pigment-map.png (the strongest pigment of each pixel, visible and hidden), pigment-maps.png (probabilities of the
groups that fill most pixels), pigment-lines.png (the lines that decided) and prints rows of the evidence table.
"""

import argparse
from pathlib import Path

from velatura.base.aside import written_aside
from velatura.base.workspace import open_workspace
from velatura.chain.page import content_of
from velatura.report.decided_spectra import decided_sheet
from velatura.report.drawing import as_png
from velatura.report.map_figures import map_sheet
from velatura.report.panels import percent
from velatura.report.pigment_panels import strongest_panels
from velatura.report.pigment_result import best_evidence, evidence_rows, found_groups
from velatura.report.pigment_section import decided_by
from velatura.report.pigment_sheet import pigment_sheet


def main() -> None:
    """Read the command line, write the pictures, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--to", type=Path, default=Path("docs"), help="folder of the pictures")
    parser.add_argument("--groups", type=int, default=6, help="groups in each picture: half visible, half hidden")
    parser.add_argument("--rows", type=int, default=12, help="rows of the table of evidence")
    asked = parser.parse_args()
    content = content_of(open_workspace(asked.workspace))
    if content.identify is None:
        parser.error(f"{asked.workspace} has no pigment maps: velatura identify {asked.workspace}")
    maps, rows = content.identify, evidence_rows(content.identify)
    groups = found_groups(maps)
    half = asked.groups // 2
    visible = groups[:half] if half else []
    hidden = sorted((group for group in groups if group not in visible), key=lambda group: -group.pixels[1])
    chosen = [*visible, *hidden[: asked.groups - half]]
    spectra = [decided_by(maps, group, best_evidence(rows, group)) for group in chosen]
    drawn = {
        "pigment-map": map_sheet(strongest_panels(maps, groups), pitch=content.pitch, most=2),
        "pigment-maps": pigment_sheet(maps, chosen, pitch=content.pitch),
        "pigment-lines": decided_sheet([one for one in spectra if one]),
    }
    for name, figure in drawn.items():
        with written_aside(asked.to / f"{name}.png") as aside:
            aside.write_bytes(as_png(figure))
    print("| region | paint | pigments | found in | probability | deciding lines | net counts |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for row in sorted(rows, key=lambda row: -row.found * row.pixels)[: asked.rows]:
        lines = ", ".join(f"{name} {weight:+.1f}" for name, weight in row.lines)
        words = (row.region, row.paint, row.title, percent(row.found), f"{row.probability:.2f}", lines, row.net_counts)
        print(f"| {' | '.join(words)} |")


if __name__ == "__main__":
    main()
