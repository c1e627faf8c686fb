"""Write docs/commands.md from the command line itself: `uv run python tools/write_commands_page.py`."""

from pathlib import Path

from velatura.cli.main import VERBS, build_app

PAGE = Path(__file__).resolve().parents[1] / "docs" / "commands.md"


def commands_page() -> str:
    """Return the page as Markdown: each verb with its arguments and options."""
    return build_app().generate_docs(recursive=True).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(commands_page(), encoding="utf-8")
    print(f"{PAGE.name}: {len(VERBS)} verbs")
