import pytest

from velatura.cli.main import EXIT_BAD_INPUT, run


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (["--scan", "y.zarr"], "Add --finetune"),
        (["--finetune"], "Give a scan, a table of spots, or both"),
        (["--recipe", "shrt"], "known are full, short, fast"),
        (["--steps", "0"], "one step or more"),
        (["--finetune", "--scan", "nowhere.zarr"], "NAME.safetensors"),
        (["--finetune", "--scan", "s.rpl", "--instrument", "m7"], "m7"),
    ],
)
def test_mistakes_get_one_message(tokens: list[str], message: str, capfd, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["train", "pigments", "-o", "x", *tokens]) == EXIT_BAD_INPUT
    told = capfd.readouterr().err
    assert message in told
    assert "Traceback" not in told
    assert not list(tmp_path.iterdir())
