"""Real spectra: what the network says of measured standards and scans, what is true, and every wrong answer explained.

    python benchmarks/identification/real_spectra.py DATA --weights best --out docs/real-spectra.md

DATA holds standards and scans as listed in real_samples.csv (NeXLSpectrum of NIST, XRFLab, PyMca, xraylarch, PIXLISE,
ColourspecXFM, XRF-Maps, hyperspy test samples). Replaces the part of the page below the line of RESULTS and writes a
figure beside it. Half a minute on two cores.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from real_page import table, totals, variants, wrong_answers, wrong_in
from real_samples import samples
from real_verdicts import Verdict, answers_for, gather, judged

from velatura.base.aside import replace_text
from velatura.report.decided_spectra import DecidedSpectrum, decided_sheet
from velatura.report.drawing import as_png
from velatura.scene.training import grid
from velatura.tasks.explain_pigments import Decision, deciding_lines
from velatura.tasks.pigment_model import PigmentModel, load_pigments

RESULTS = "<!-- below: written by benchmarks/identification/real_spectra.py -->"
FOREIGN = ("Al", "Si", "Cl", "Ar", "V", "Ni", "Ga", "Ge", "Rb", "Y", "Zr", "Mo", "Rh", "La")  # lines of no marker
DRAWN = (
    ("tube", "stainless steel", ("visible", "unknown")),
    ("tube", "stream sediment STSD-2", ("visible", "unknown")),
    ("tube", "silicon wafer", ("visible", "Cr")),
    ("tube", "rock, Laguna Salinas: sum", ("visible", "Fe-K")),
)
WAYS = {
    "as above": {},
    "instrument not told": {"tell": False},
    "10,000 counts": {"most": 10_000},
    "1,000 counts": {"most": 1_000},
    "all counts, up to 90 million": {"most": 10**12},
}


def main() -> None:
    """Read, ask, judge, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder with standards and scans")
    parser.add_argument("--weights", default="best", help="best, fast, or a file")
    parser.add_argument("--out", type=Path, help="page; without it everything is printed")
    options = parser.parse_args()
    model = load_pigments(options.weights)
    asked = gather(samples(), options.folder, classes=model.classes)
    found = {way: [judged(said, model.classes) for said in answers_for(model, asked, **how)]
             for way, how in WAYS.items()}  # fmt: skip
    verdicts = found["as above"]
    decisions = {number: decided(model, one, [pair for _, pair in wrong_in(one) if pair[1]])
                 for number, one in enumerate(verdicts) if one.word != "right"}  # fmt: skip
    threshold = f"unknown counts from {model.unknown_threshold:.2f}, or where strange above 0.99"
    parts = [
        f"## Totals\n\n{totals(verdicts, model.classes)}\n\n{variants(found, model.classes)}",
        f"## Every wrong answer\n\n{wrong_answers(verdicts, decisions)}",
        f"## Every sample\n\nMean over the spectra; {threshold}.\n\n{table(verdicts, model.classes)}",
    ]
    text = "\n\n".join(parts) + "\n"
    if options.out is None:
        print(text)
        return
    before = options.out.read_text(encoding="utf-8").split(RESULTS)[0] if options.out.is_file() else ""
    replace_text(options.out, f"{before}{RESULTS}\n\n{text}")
    options.out.with_suffix(".png").write_bytes(as_png(decided_sheet(drawn(model, verdicts))))


def decided(model: PigmentModel, verdict: Verdict, pairs: Sequence[tuple[str, str]]) -> tuple[Decision, ...]:
    """Return which lines decided, in the first spectrum of a sample."""
    said = verdict.said
    return deciding_lines(model, said.features[0], said.condition[0], classes=pairs, elements=FOREIGN)


def drawn(model: PigmentModel, verdicts: Sequence[Verdict]) -> list[DecidedSpectrum]:
    """Return the spectra of the figure, those that are there."""
    sheet = []
    for excitation, name, pair in DRAWN:
        for one in verdicts:
            if (one.said.asked.sample.excitation, one.said.asked.sample.name) == (excitation, name):
                decision = decided(model, one, [pair])[0]
                lines = tuple((line.line, line.drop) for line in (*decision.lines[:4], *decision.against[:2]))
                called = "unknown" if pair[1] == "unknown" else f"{pair[1]} in the {pair[0]} paint"
                sheet.append(DecidedSpectrum(f"{name}: {called}", grid(), one.said.features[0].astype(float), lines))
                break
    return sheet


if __name__ == "__main__":
    main()
