"""The page of scores: plain Markdown tables."""

from collections.abc import Sequence

from spectra_sets import DOSES

SCORES = (
    "visible F1",
    "hidden F1",
    "beneath F1",
    "low F1",
    "trace F1",
    "visible AP",
    "hidden AP",
    "visible ECE",
    "hidden ECE",
)
STEADY = ("F1, frequent", "classes, frequent", "F1, micro")
TITLES = {"1e3": "1,000 counts", "1e4": "10,000 counts", "1e5": "100,000 counts", "2e3-5e4": "2,000 to 50,000 counts"}
WHERE = (
    "nothing else said", "said in the other paint", "another class said",
    "wrongly visible: in the ground", "wrongly visible: in the hidden paint", "wrongly visible: nowhere",
    "wrongly hidden: in the visible paint", "wrongly hidden: in the ground", "wrongly hidden: nowhere",
)  # fmt: skip


def page_of(found: dict, figures: Sequence[str]) -> str:
    """Return the page for numbers [method][set] and names of figures."""
    doses = [dose for dose in DOSES if any(dose in numbers for numbers in found.values())]
    parts = ["# Scores of pigment identification\n\nMacro averages over classes, detectable labels, held-out tubes."]
    for dose in doses:
        columns = [*SCORES, "unknown AUROC"]
        if any("left-out AUROC" in numbers[dose] for numbers in found.values()):
            columns.append("left-out AUROC")
        parts.append(f"## {TITLES[dose]}\n\n" + _table(found, dose, columns))
    if any("palette" in numbers for numbers in found.values()):
        title = "## A palette of 21 pigments, known beforehand (2,000 to 50,000 counts)\n\n"
        parts.append(title + _table(found, "palette", SCORES[:7]))
    first, last = doses[0], doses[-1]
    steady = [f"{name} {what}" for name in ("visible", "hidden", "low") for what in STEADY]
    title = f"## Less chance: frequent classes, and all labels together ({TITLES[first]})\n\n"
    parts.append(title + _table(found, first, steady))
    loose = [f"{name}, loose" for name in SCORES[:7]]
    title = f"## With labels that other pigments explain as well ({TITLES[first]})\n\n"
    parts.append(title + _table(found, first, loose).replace(", loose", ""))
    parts.append(f"## Where errors come from ({TITLES[last]})\n\n" + _table(found, last, WHERE))
    parts.append(f"## Recall by evidence ({TITLES[last]})\n\n" + _by_evidence(found, last))
    told = [f"{name} F1, {how}" for name in ("visible", "hidden") for how in ("told", "untold")]
    parts.append(f"## Instrument told or not ({TITLES[last]})\n\n" + _table(found, last, told))
    parts += [_confusions(method, numbers[last]["confusions"]) for method, numbers in list(found.items())[:1]]
    if any("specimens" in numbers for numbers in found.values()):
        parts.append(_specimens(found))
    parts += [f"![{name}]({name})" for name in figures]
    return "\n\n".join(parts) + "\n"


def _table(found: dict, dose: str, columns: Sequence[str]) -> str:
    rows = [[method, *(_number(numbers[dose].get(name)) for name in columns)] for method, numbers in found.items()]
    return _grid(["method", *columns], rows)


def _by_evidence(found: dict, dose: str) -> str:
    """Recall in bins of delta chi2."""
    rows, head = [], []
    for method, numbers in found.items():
        for paint, recalls in numbers[dose]["recall by evidence"].items():
            head = list(recalls)
            rows.append([f"{method}, {paint}", *map(_number, recalls.values())])
    return _grid(["delta chi2", *head], rows)


def _confusions(method: str, rows: Sequence[dict]) -> str:
    body = [[row["missed"], row["said"], f"{row['number']:.1f}", f"{row['of missed']:.0%}"] for row in rows]
    return f"## What is taken for what ({method})\n\n" + _grid(["missed", "said", "number", "of the misses"], body)


def _specimens(found: dict) -> str:
    """AUROC of unknown for specimens: by kind for all methods, and each one for the first."""
    methods = [method for method, numbers in found.items() if "specimens" in numbers]
    kinds = [name for name in found[methods[0]]["specimens"] if name != "each"]
    rows = [[method, *(_number(found[method]["specimens"][name]) for name in kinds)] for method in methods]
    each = found[methods[0]]["specimens"]["each"]
    body = [
        [title, *(_number(found[method]["specimens"]["each"][title]["AUROC"]) for method in methods),
         ", ".join(row["twins"]) or "none"]
        for title, row in each.items()
        if row["spectra"]
    ]  # fmt: skip
    head = "## Materials that are no pigments: AUROC of unknown\n\n"
    return head + _grid(["method", *kinds], rows) + "\n\n" + _grid(["specimen", *methods, "same lines as"], body)


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(value: float | None) -> str:
    if value is None or value != value:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.3f}"
