"""`velatura train embedding` and `recolour` given what they cannot use: one message and exit code 2."""

import pytest

from velatura.cli.main import run


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (["recolour"], "found no canvases at"),
        (["embedding"], "found no canvases at"),
        (["recolour", "--recipe", "velatur"], 'did you mean "velatura"'),
        (["embedding", "--recipe", "pape"], 'did you mean "paper"'),
        (["recolour", "--steps", "0"], "one step or more; asked for 0"),
        (["embedding", "--paintings", "nowhere"], "found none at nowhere"),
    ],
)
def test_bad_input_is_told(tokens: list[str], message: str, tmp_path, capsys) -> None:
    assert run(["train", tokens[0], "-o", str(tmp_path / "run"), *tokens[1:]]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()
