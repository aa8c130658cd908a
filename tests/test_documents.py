"""README, manual and examples: what they show is run, and what they print is what comes out.

The pages of the manual are executed when it is built; here run those of them that are a walk through everything.
"""

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").rglob("*.md"))
WALK = ["start.md", *(f"guide/{name}.md" for name in ("state", "derive", "check", "descend", "optimizers", "samples"))]


def blocks(text, language):
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


def cells(page):
    """The code cells of a page of the manual, without their options."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return [re.sub(r"(?m)^:.*\n", "", cell) for cell in blocks(text, r"\{code-cell\}")]


def test_the_examples_in_the_readme_run_as_they_stand(tmp_path, monkeypatch):
    # an example that names what no longer exists, or shows what does not come out
    monkeypatch.chdir(tmp_path)  # some write files
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    namespace = {}
    printed = io.StringIO()
    checked = 0
    for block in blocks(text, "python"):
        with contextlib.redirect_stdout(printed):
            exec(compile(block, "README.md", "exec"), namespace)
        for expression, value in re.findall(r"(?m)^(loss\.gradient)\s+# (.*)$", block):
            assert str(eval(expression, namespace)) == value
            checked += 1
    for shown in blocks(text, "text"):
        assert shown in printed.getvalue()
    assert checked == 1


@pytest.mark.parametrize("page", WALK)
def test_the_guide_runs(page, tmp_path, monkeypatch):
    # an example of the manual that names what no longer exists: found here, without building the manual
    monkeypatch.chdir(tmp_path)
    namespace = {}
    with contextlib.redirect_stdout(io.StringIO()):
        for cell in cells(page):
            exec(compile(cell, page, "exec"), namespace)
    assert cells(page)


def test_every_page_with_cells_is_executed_by_the_build():
    # a page without its first lines is shown as it stands, and its examples never run
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        executed = text.startswith("---\n") and "file_format: mystnb" in text.split("---")[1]
        assert executed == ("{code-cell}" in text), page


def test_links_between_pages_lead_somewhere():
    # a page that was renamed: readers on a forge have no build that finds it
    for page in [ROOT / "README.md", *PAGES]:
        prose = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.S)
        for target in re.findall(r"\]\(([^)#\s]+)", prose):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_quickstart_reaches_the_least_squares_line():
    namespace = {"__file__": str(ROOT / "examples" / "quickstart.py"), "__name__": "quickstart"}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(
            compile((ROOT / "examples" / "quickstart.py").read_text(encoding="utf-8"), "quickstart.py", "exec"),
            namespace,
        )
    assert printed.getvalue().count("distance = -17.5791 + 3.9324 speed") == 2


def test_the_homework_sheet_is_solved(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["homework.py", str(tmp_path)])
    namespace = {"__name__": "homework"}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile((ROOT / "examples" / "homework.py").read_text(encoding="utf-8"), "homework.py", "exec"), namespace)
        namespace["main"]()
    sheets = {path.suffix: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert set(sheets) == {".tex", ".md", ".html"}
    for text in sheets.values():
        assert all(f"Problem {number}" in text for number in range(1, 9))
        assert "wrong by the constant factor 2" in text


def test_an_optimizer_of_ones_own_finds_the_minimum():
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        source = (ROOT / "examples" / "own_optimizer.py").read_text(encoding="utf-8")
        exec(compile(source, "own_optimizer.py", "exec"), {"__name__": "own_optimizer"})
    text = printed.getvalue()
    assert "normed momentum    x = 0.997" in text
    assert "v' = μ*v + g" in text and "double descent_step(" in text


def run_example(name):
    """What an example prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile((ROOT / "examples" / name).read_text(encoding="utf-8"), name, "exec"), {"__name__": name})
    return printed.getvalue()


def test_softmax_regression_classifies_points_it_has_not_seen():
    text = run_example("classification.py")
    assert "check    passed" in text
    assert all(float(share) > 90 for share in re.findall(r"(?:training|testing) +([\d.]+)% right", text))
    assert text.count("% right") == 2


def test_exported_programs_of_all_languages_agree(tmp_path, monkeypatch):
    # a target whose program is left behind when the others change
    monkeypatch.setattr("sys.argv", ["export.py", str(tmp_path)])
    text = run_example("export.py")
    assert {path.name for path in tmp_path.iterdir()} >= {"plain.py", "with_numpy.py", "with_numba.py", "descent.c"}
    reached = [float(value) for value in re.findall(r"after 10 steps (\S+)", text)]
    assert len(reached) >= 2
    assert max(reached) - min(reached) < 1e-14
