"""The notebooks of the examples, executed from their first cell to their last."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "examples"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))
nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")


def test_there_are_notebooks():
    # a folder that was renamed: the tests below would run over nothing
    assert NOTEBOOKS == ["descents_compared.ipynb", "gradient_homework.ipynb"]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebooks_are_kept_without_outputs(name):
    # results of another version, machine or day, which nothing renews
    for cell in nbformat.read(FOLDER / name, as_version=4).cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None


@pytest.fixture(scope="module")
def printed():
    """What a notebook prints, and which kinds of results it shows, by its name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MPLBACKEND", raising=False)  # notebooks show their pictures whatever the shell prefers
        yield _runner()


def _runner():
    done = {}

    def run(name):
        if name not in done:
            notebook = nbformat.read(FOLDER / name, as_version=4)
            nbclient.NotebookClient(notebook, timeout=240, kernel_name="python3").execute()
            outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
            errors = [output.text for output in outputs if output.get("name") == "stderr"]
            assert not errors, errors
            text = "\n".join(output.text for output in outputs if output.output_type == "stream")
            done[name] = text, {kind for output in outputs for kind in output.get("data", {})}
        return done[name]

    return run


def test_the_homework_is_derived_graded_and_saved(printed):
    # a cell that names what no longer exists; an answer that is graded otherwise
    text, kinds = printed("gradient_homework.ipynb")
    assert re.search(r"candidate for w: wrong: the term .*lambda\*w.* is missing", text)
    assert "candidate for b: right" in text
    assert r"\documentclass" in text and r"\end{document}" in text
    assert "text/latex" in kinds


def test_the_race_is_won_by_momentum_and_adam(printed):
    # a rule whose numbers changed: in this valley the heavy ball and Adam need a fraction of plain descent's steps
    text, kinds = printed("descents_compared.ipynb")
    rows = re.findall(r"(?m)^([\w ]+?) +(\d+) steps   loss (\S+)", text)
    steps, losses = {name: int(n) for name, n, _ in rows}, {name: float(loss) for name, _, loss in rows}
    assert len(steps) == 7
    assert 3 * steps["Adam"] < 2 * steps["momentum"] < steps["gradient descent"]
    assert max(losses["momentum"], losses["Nesterov momentum"], losses["Adam"], losses["gradient descent"]) < 1e-11
    assert "image/png" in kinds
