"""The page of real spectra: plain Markdown tables."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from real_verdicts import WORDS, Verdict, is_scan, words

from velatura.scene.classes import XrfClass
from velatura.tasks.explain_pigments import Decision

NOTES = Path(__file__).with_name("real_notes.csv")
GROUPS = {
    "tube": "X-ray tubes, as the network was trained for",
    "one energy": "One energy of 10 to 21 keV, as it never saw",
    "electrons": "Electrons (SEM-EDS), as it never saw",
}
NOT_UNKNOWN = "not unknown"


def notes() -> dict[tuple[str, str, str], str]:
    """Return why an answer is wrong: (excitation, sample, answer) -> a sentence."""
    with NOTES.open(encoding="utf-8", newline="") as file:
        return {(row["excitation"], row["sample"], row["answer"]): row["why"] for row in csv.DictReader(file)}


def totals(verdicts: Sequence[Verdict], classes: Sequence[XrfClass]) -> str:
    """Return the table of totals, a row for each kind of excitation."""
    head = [
        "", "samples right", "single spectra right", *(f"{word} (samples)" for word in WORDS[1:]),
        "no pigment, and said so (samples)", "elements named, of these there", "elements of 1 % and more named",
        "by a fit of lines: named, of these there", "of 1 % and more named",
    ]  # fmt: skip
    return _grid(head, [_total(title, _of(verdicts, group), classes) for group, title in GROUPS.items()])


def table(verdicts: Sequence[Verdict], classes: Sequence[XrfClass]) -> str:
    """Return a table of all samples for each kind of excitation."""
    head = ["sample", "spectra", "pigments said, with probability", "unknown", "strange", "strong lines", "verdict"]
    parts = [f"### {title}\n\n" + _grid(head, [_row(one, classes) for one in _of(verdicts, group)])
             for group, title in GROUPS.items()]  # fmt: skip
    return "\n\n".join(parts)


def variants(found: Mapping[str, Sequence[Verdict]], classes: Sequence[XrfClass]) -> str:
    """Return how many samples are right when the network is asked in other ways."""
    rows = []
    for title, verdicts in found.items():
        cells = [title]
        for group in GROUPS:
            here = _of(verdicts, group)
            single = _single(here, classes)
            right = sum(one.word == "right" for one in here)
            cells.append(f"{right} of {len(here)}, {single.count('right')} of {len(single)}")
        rows.append(cells)
    return _grid(["samples and single spectra that are right", *GROUPS.values()], rows)


def wrong_answers(verdicts: Sequence[Verdict], decisions: Mapping[int, Sequence[Decision]]) -> str:
    """Return each wrong answer with its deciding lines and why it is wrong."""
    known, lines = notes(), []
    for number, one in enumerate(verdicts):
        if one.word == "right":
            continue
        sample = one.said.asked.sample
        lines.append(f"- **{_title(one)}**: {one.word}.")
        for answer, why in wrong_in(one):
            decided = next((d for d in decisions.get(number, ()) if (d.paint, d.name) == why), None)
            by = f" ({', '.join(f'{line.line} {line.drop:+.1f}' for line in decided.lines[:3])})" if decided else ""
            told = known.get((sample.excitation, sample.name, answer), "Not yet looked into.")
            lines.append(f"  - {answer}{f', {why[0]} paint' if decided else ''}{by}: {told}")
    return "\n".join(lines) or "None."


def wrong_in(verdict: Verdict) -> list[tuple[str, tuple[str, str]]]:
    """Return what is wrong in a verdict: (answer, (paint, class)); the second is empty for what was not said."""
    present = verdict.said.asked.present
    foreign = [(name, (paint, name)) for paint, name, _ in verdict.found if set(name.split("-")) - present]
    if verdict.word == "lines where none are":
        return [(name, (paint, name)) for paint, name, _ in verdict.found]
    return foreign or [(NOT_UNKNOWN, ("", ""))]


def _total(title: str, here: Sequence[Verdict], classes: Sequence[XrfClass]) -> list[str]:
    single = _single(here, classes)
    foreign = [one for one in here if one.said.asked.sample.expected == "unknown"]
    by_lines = [(frozenset(one.said.asked.by_lines), one) for one in here]
    return [
        title, f"{sum(one.word == 'right' for one in here)} of {len(here)}",
        f"{single.count('right')} of {len(single)}",
        *(str(sum(one.word == word for one in here)) for word in WORDS[1:]),
        f"{sum(one.unknown for one in foreign)} of {len(foreign)}",
        *_shares([(one.named, one) for one in here]), *_shares(by_lines),
    ]  # fmt: skip


def _single(here: Sequence[Verdict], classes: Sequence[XrfClass]) -> list[str]:
    """Verdicts for all spectra but those of scans, each of which is one sample with hundreds of pixels."""
    return [word for one in here if not is_scan(one.said.asked.sample) for word in words(one.said, classes)]


def _shares(pairs: Sequence[tuple[frozenset[str], Verdict]]) -> tuple[str, str]:
    named = sum(len(said) for said, _ in pairs)
    true = sum(len(said & one.said.asked.present) for said, one in pairs)
    there = sum(len(one.said.asked.plenty) for _, one in pairs)
    found = sum(len(said & one.said.asked.plenty) for said, one in pairs)
    return f"{named}, {true}", f"{found} of {there}"


def _row(one: Verdict, classes: Sequence[XrfClass]) -> list[str]:
    single = words(one.said, classes)
    said = "; ".join(f"{name} ({paint}) {value:.2f}" for paint, name, value in one.found) or "none"
    unknown = f"{'yes' if one.unknown else 'no'}, {one.said.answers.unknown.mean():.2f}"
    many = f"{len(single)}" if len(single) == 1 else f"{len(single)}, {single.count('right')} right"
    return [
        _title(one), many, said, unknown, f"{one.said.answers.strangeness.mean():.3f}",
        " ".join(one.said.asked.by_lines[:6]), one.word,
    ]  # fmt: skip


def _title(one: Verdict) -> str:
    sample = one.said.asked.sample
    voltage = sample.scanner and f", {sample.scanner.tube.voltage:.0f} kV"
    return sample.name + (voltage if voltage and sample.kind in ("metal", "element", "ceramic") else "")


def _of(verdicts: Sequence[Verdict], group: str) -> list[Verdict]:
    return [one for one in verdicts if one.said.asked.sample.excitation == group]


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
