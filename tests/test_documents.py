"""README and guide: what they show is run, and what they print is what comes out."""

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def blocks(text, language):
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


@pytest.mark.parametrize("name", ["README.md", "docs/guide.md"])
def test_the_examples_run_as_they_stand(name, tmp_path, monkeypatch):
    # an example that names what no longer exists
    monkeypatch.chdir(tmp_path)  # some write files
    text = (ROOT / name).read_text(encoding="utf-8")
    namespace = {}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for block in blocks(text, "python"):
            exec(compile(block, name, "exec"), namespace)
    for shown in blocks(text, "text"):
        assert shown in printed.getvalue()


def test_the_values_in_comments_are_what_the_expressions_give(tmp_path, monkeypatch):
    # a comment in README or guide that lies
    monkeypatch.chdir(tmp_path)
    checked = 0
    for name in ("README.md", "docs/guide.md"):
        namespace = {}
        for block in blocks((ROOT / name).read_text(encoding="utf-8"), "python"):
            with contextlib.redirect_stdout(io.StringIO()):
                exec(block, namespace)
            for line in block.splitlines():
                found = re.fullmatch(
                    r"(loss\.gradient|line\.gradient\[.*?\]|line\.sample_gradient\[.*?\])\s+# (.*)", line
                )
                if found:
                    assert str(eval(found[1], namespace)) == found[2].split(": one sample")[0]
                    checked += 1
    assert checked == 3


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
