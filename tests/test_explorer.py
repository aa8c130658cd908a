"""The explorer: its page is used in Chromium, its controls in a notebook are moved, and the numbers are compared."""

from __future__ import annotations

import json
import re
import shutil
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
import sympy as sp

import symdescent as sd
from symdescent.explorer.page import page
from symdescent.explorer.sliders import slider
from symdescent.explorer.steps import step
from symdescent.optimizers import Norm, Total, f, g, theta
from symdescent.optimizers import eta as rate

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
browser_needed = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium to open the page in")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

w, b, x, y = sp.symbols("w b x y")
n, d = sp.symbols("n d", integer=True, positive=True)
i, j = sp.symbols("i j", integer=True)
X, Y, W = sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("y", shape=(n,)), sp.IndexedBase("w", shape=(d,))
V = sp.MatrixSymbol("V", 2, 3)
RANDOM = np.random.default_rng(5)
XS, YS = np.round(RANDOM.normal(size=(20, 4)), 3), RANDOM.choice([-1.0, 1.0], 20)

PARABOLA = sd.Loss((w - 3) ** 2, w)
VALLEY = sd.Loss((1 - x) ** 2 + 10 * (y - x**2) ** 2, [x, y])
LINE = sd.Loss((y - (w * x + b)) ** 2, [w, b], samples=[x, y])
LOGISTIC = sd.Loss(sp.Sum(sp.log(1 + sp.exp(-Y[i] * sp.Sum(X[i, j] * W[j], (j, 0, d - 1)))), (i, 0, n - 1)) / n, W)
MATRIX = sd.Loss(sp.Trace((V - sp.ones(2, 3)) * (V - sp.ones(2, 3)).T), V)
CASES = {
    "one number": (PARABOLA, 0.0, None),
    "two numbers": (VALLEY, {"x": -1.2, "y": 1.0}, None),
    "samples": (LINE, {"w": 0.5, "b": 0.0}, {"x": XS[:, 0], "y": XS[:, 1]}),
    "indexed": (LOGISTIC, {"w": np.array([0.1, -0.2, 0.3, 0.0])}, {"X": XS, "y": YS}),
    "matrix": (MATRIX, {"V": np.arange(6.0).reshape(2, 3)}, None),
}
speed, length = sp.symbols("v_s n_s", real=True)
TURNED = sd.UpdateRule(
    "unit velocity",
    [(speed, speed / 2 + g), (length, Norm(speed)), (theta, theta - rate * speed / (length + 1))],
    [sd.Hyperparameter("learning_rate", rate, 0.05)],
    [sd.State(speed)],
)
lowest = sp.Symbol("f_low")
POLYAK = sd.UpdateRule(
    "Polyak's step size",
    [(rate, (f - lowest) / (Total(g**2) + 1)), (theta, theta - rate * g / 10)],
    [sd.Hyperparameter("lowest", lowest, 0.0)],
)
RULES = (
    sd.GradientDescent(0.01),
    sd.Momentum(0.005, nesterov=True),
    sd.AdaGrad(0.3),
    sd.AdaDelta(),
    sd.RMSprop(0.02, centered=True, momentum=0.5),
    sd.Adam(0.1),
    sd.NAdam(0.1),
    sd.Adam(0.1).with_weight_decay(0.01).with_clipping(norm=0.5),
    sd.GradientDescent(sd.schedules.plateau(0.01, factor=0.5)),
    sd.Adam(sd.schedules.cosine(0.1, 40)),
    TURNED,
    POLYAK,
)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser, tmp_path):
    """Open the page of a loss; at the end nothing may have been complained of, nor asked of the network."""
    opened, complaints, requests = [], [], []

    def go(loss, start=None, data=None, optimizers=None, window=None, **options):
        path = tmp_path / f"page{len(opened)}.html"
        loss.explore_html(path, start, data, optimizers, **options)
        tab = browser.new_page(**(window or {"viewport": {"width": 1200, "height": 900}}))
        opened.append(tab)
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("request", lambda request: requests.append(request.url))
        tab.goto(path.as_uri())
        return tab

    yield go
    for tab in opened:
        tab.close()
    assert complaints == []
    assert all(url.startswith("file:") for url in requests), requests


def path_of(tab, run=0):
    tab.evaluate("explorer.flush()")
    return np.array(tab.evaluate(f"explorer.state.runs[{run}].run.path.map((theta) => Array.from(theta))"))


def state(tab, expression):
    tab.evaluate("explorer.flush()")
    return tab.evaluate(f"explorer.state.{expression}")


# -- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.browser
@browser_needed
@pytest.mark.parametrize("case", CASES)
def test_the_path_is_that_of_the_compiled_loop(case, visit):
    # an array in another order, a matrix transposed, data that were rounded, a state that is not carried on
    loss, start, data = CASES[case]
    rule = sd.Adam(0.1)
    tab = visit(loss, start, data, rule, steps=60)
    descent = loss.descend(start, data, rule, steps=60, gtol=0)
    wanted = np.column_stack([np.reshape(part, (len(part), -1)) for part in descent.trajectory.values()])
    np.testing.assert_allclose(path_of(tab), wanted, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(state(tab, "runs[0].run.losses"), descent.history["loss"], rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(
        state(tab, "runs[0].run.slopes"), descent.history["gradient_norm"], rtol=1e-9, atol=1e-12
    )


def carried_out(rule, gradient, start, steps):
    """A path by the rule's own `step`, with a gradient by hand."""
    path, memory, point = [start], None, start
    for t in range(1, steps + 1):
        loss, slope = gradient(point)
        point, memory = rule.step(point, slope, memory, t=t, f=loss)
        path.append(point)
    return np.array(path)


def valley(point):
    u, v = point
    return (1 - u) ** 2 + 10 * (v - u**2) ** 2, np.array([-2 * (1 - u) - 40 * u * (v - u**2), 20 * (v - u**2)])


@pytest.mark.browser
@browser_needed
def test_every_rule_and_its_worked_numbers(visit):
    # an equation that shows the number before where the one after is meant, a sum over one coordinate only
    tab, compared = visit(VALLEY, {"x": -1.2, "y": 1.0}, None, RULES, steps=30), 0
    for place, rule in enumerate(RULES):
        tab.evaluate(f"explorer.chooseRule({place})")
        path = path_of(tab)
        np.testing.assert_allclose(
            path, carried_out(rule, valley, np.array([-1.2, 1.0]), 30), rtol=1e-9, atol=1e-12, err_msg=rule.name
        )
        tab.evaluate("explorer.goTo(7); explorer.flush()")
        shown = tab.locator("#worked tr").all_inner_texts()
        assert len(shown) == 1 + len(rule.program.assignments)
        values = [number(line.split("=")[-1]) for line in shown]
        assert values[-1 if rule.assignments[-1][0] == theta else -2] == pytest.approx(path[8, 0], rel=1e-5)
        assert values[0] == pytest.approx(valley(path[7])[1][0], rel=1e-5)
        cells = tab.evaluate("[...document.querySelectorAll('#worked tr')].map((row) => row.cells[2].innerHTML)")
        compared += sum(agrees(cell, line.split("=")[-1]) for cell, line in zip(cells, shown, strict=True) if cell)
    assert compared > 30


def number(text):
    """A number as the page shows it."""
    text = re.sub(r"[\s\u200b]", "", text).replace("−", "-").replace("∞", "inf")
    found = re.fullmatch(r"(-?)(?:([\d.]+|inf|NaN)(?:×10(-?\d+))?|10(-?\d+))", text)
    assert found, text
    sign, head, power, alone = found.groups()
    return float(f"{sign}{head or 1}" + (f"e{power or alone}" if power or alone else ""))


def calculated(node):
    """A formula of MathML as Python writes it."""
    name, parts = node.tag.split("}")[-1], [calculated(part) for part in node]
    if name in ("mn", "mo"):
        return {"−": "-", "·": "*", "×": "*", "\u2062": "*"}.get(node.text, node.text)
    if name in ("math", "mrow", "msqrt"):
        inside = re.sub(r"(?<=[\d)]) (?=[\d(])", "*", " ".join(parts))
        return f"({inside})**0.5" if name == "msqrt" else f"({inside})" if name == "mrow" else inside
    assert name in ("mfrac", "msup"), name
    return f"(({parts[0]}) {'/' if name == 'mfrac' else '**'} ({parts[1]}))"


def agrees(filled, result):
    """The numbers that are shown in a formula give the number that is shown as its result."""
    tree = ElementTree.fromstring(f"<math>{re.sub('<math>|</math>|&nbsp;', '', filled)}</math>")
    if any(part.tag in ("mi", "mtable", "mtext") for part in tree.iter()):
        return False  # cases, functions
    text = re.sub(r"^= ", "", calculated(tree)).replace("(- ", "(-")
    assert eval(text) == pytest.approx(number(result), rel=2e-3, abs=1e-6), filled
    return True


@pytest.mark.browser
@browser_needed
def test_divergence_is_said_at_its_step(visit):
    # a page that goes on with NaN, or that calls a long path a divergence
    rule = sd.GradientDescent(1.2)
    tab = visit(PARABOLA, 0.0, None, rule, steps=200)
    descent = PARABOLA.descend(0.0, None, rule, steps=200, gtol=0)
    assert not descent.success and state(tab, "runs[0].run.status") == "diverged"
    assert len(path_of(tab)) - 1 == descent.nit
    assert f"diverged at step {descent.nit}" in tab.inner_text("#status")
    assert "alarm" in tab.get_attribute("#status span", "class")
    assert tab.locator(".cross").count() == 2
    tab = visit(sd.Loss(x - sp.log(x), x), 0.5, None, sd.GradientDescent(0.9), ranges={"x": (-1, 3)})
    tab.fill("#start input[type=number]", "-0.5")
    assert state(tab, "runs[0].run.status") == "not finite"
    assert "not a finite number at this start" in tab.inner_text("#status")
    tab = visit(sd.Loss(x**3 + x, x), 0.0, None, sd.GradientDescent(0.5))
    assert state(tab, "runs[0].run.status") in ("fell", "not finite") and "step" in tab.inner_text("#status")


# -- controls ---------------------------------------------------------------------------------------------------------


@pytest.mark.browser
@browser_needed
def test_sliders_move_the_path(visit):
    # a slider that is not listened to, or that shows another number than is used
    tab = visit(PARABOLA, 0.0, None, [sd.GradientDescent(0.1), sd.Momentum(0.1)], steps=10)
    first, drawn = path_of(tab), tab.locator("#landscape .path").first.get_attribute("d")
    tab.focus("#settings input[type=range]")
    for _ in range(5):
        before = state(tab, "settings[0].learning_rate")
        tab.keyboard.press("ArrowRight")
        assert state(tab, "settings[0].learning_rate") > before  # each press counts, though values are rounded
    chosen = state(tab, "settings[0].learning_rate")
    assert chosen > 0.11 and float(tab.input_value("#settings input[type=number]")) == chosen
    assert path_of(tab)[1, 0] == pytest.approx(6 * chosen, rel=1e-12) != first[1, 0]
    assert tab.locator("#landscape .path").first.get_attribute("d") != drawn
    tab.fill("#start input[type=number]", "5.5")
    assert path_of(tab)[0, 0] == 5.5
    tab.fill("#steps input[type=number]", "25")
    assert len(path_of(tab)) == 26
    tab.select_option("#optimizer", label="momentum")
    tab.fill("#settings .control:nth-of-type(2) input[type=number]", "0.5")
    path = path_of(tab)
    wanted = carried_out(sd.Momentum(0.1, 0.5), lambda v: ((v - 3) ** 2, 2 * (v - 3)), np.array([5.5]), 25)
    np.testing.assert_allclose(path, wanted, rtol=1e-12)
    tab.click("#reset")
    np.testing.assert_array_equal(path_of(tab), first)


@pytest.mark.browser
@browser_needed
def test_numbers_out_of_a_record_s_range_are_not_taken(visit):
    # a momentum of 1.5, a learning rate of 0: what the record refuses
    tab = visit(PARABOLA, 0.0, None, sd.Momentum(0.1), steps=10)
    before = path_of(tab)
    for place, text in ((1, "0"), (1, "-1"), (2, "1"), (2, "")):
        field = f"#settings .control:nth-of-type({place}) input[type=number]"
        tab.fill(field, text)
        assert not tab.evaluate("(field) => document.querySelector(field).checkValidity()", field)
        np.testing.assert_array_equal(path_of(tab), before)
    tab.fill("#steps input[type=number]", "2.5")
    assert len(path_of(tab)) == len(before)


@pytest.mark.browser
@browser_needed
def test_steps_are_gone_through(visit):
    # a last step that cannot be reached, a picture that lags behind the numbers
    tab = visit(VALLEY, {"x": -1.2, "y": 1.0}, None, sd.GradientDescent(0.01), steps=12)
    tab.focus("#step")
    for _ in range(3):
        tab.keyboard.press("ArrowRight")
    assert state(tab, "now") == 3 and tab.inner_text("#step-shown") == "3 / 12"
    tab.click("#next")
    tab.click("#next")
    tab.click("#previous")
    assert state(tab, "now") == 4 and "From step 4 to step 5" in tab.inner_text("#worked")
    tab.click("#last")
    assert state(tab, "now") == 12 and "there is no further step" in tab.inner_text("#worked")
    tab.click("#first")
    tab.click("#play")
    while state(tab, "now") < 2:
        tab.wait_for_timeout(20)
    tab.click("#play")
    assert state(tab, "playing") is None


@pytest.mark.browser
@browser_needed
def test_a_click_in_the_picture_is_a_start(visit):
    # axes mixed up, or upside down
    tab = visit(VALLEY, {"x": -1.2, "y": 1.0}, None, sd.GradientDescent(0.01), ranges={"x": (-2, 2), "y": (-1, 3)})
    box = state(tab, "picture.box")
    corner = tab.locator("#landscape").bounding_box()
    right, up = 0.75, 0.25
    tab.mouse.click(
        corner["x"] + box["left"] + right * (box["right"] - box["left"]),
        corner["y"] + box["bottom"] - up * (box["bottom"] - box["top"]),
    )
    np.testing.assert_allclose(path_of(tab)[0], [1.0, 0.0], atol=0.03)
    assert float(tab.input_value("#start input[type=number] >> nth=0")) == path_of(tab)[0, 0]


@pytest.mark.browser
@browser_needed
def test_optimizers_are_compared(visit):
    # a comparison that runs with the settings of the other rule
    tab = visit(VALLEY, {"x": -1.2, "y": 1.0}, None, [sd.GradientDescent(0.01), sd.Adam(0.1)], steps=20)
    tab.check("#compare label:nth-of-type(2) input")
    np.testing.assert_allclose(path_of(tab, 1), carried_out(sd.Adam(0.1), valley, np.array([-1.2, 1.0]), 20), rtol=1e-9)
    assert tab.locator("#legend li").count() == 2 and tab.locator("#status span").count() == 2


@pytest.mark.browser
@browser_needed
def test_many_coordinates_are_seen_in_slices(visit):
    # a slice through the start instead of the current point, sliders by the hundred
    loss = sd.Loss(sp.Sum((W[j] - 1) ** 2 * (j + 1), (j, 0, d - 1)), W)
    tab = visit(loss, {"w": np.zeros(100)}, None, sd.GradientDescent(0.001), steps=5)
    assert tab.locator("#start .control").count() == 2
    tab.select_option("#axes select >> nth=0", label="w[41]")
    tab.select_option("#axes select >> nth=1", label="w[99]")
    tab.fill("#start input[type=number] >> nth=1", "2")
    tab.select_option("#coordinate select", label="w[99]")
    tab.evaluate("explorer.goTo(1)")
    assert path_of(tab)[0, 99] == 2.0
    assert number(tab.locator("#worked tr").first.inner_text().split("=")[-1]) == pytest.approx(200 * (2 - 0.2 - 1))
    assert "The other 98 coordinates stay where they are in step 1" in tab.inner_text("#landscape-note")


# -- safety -----------------------------------------------------------------------------------------------------------

NASTY = '</script><img src=x onerror="window.broken = 1">'


@pytest.mark.browser
@browser_needed
def test_names_cannot_break_out(visit):
    # a symbol, a rule or a source that ends the script or becomes an element
    first, second = sp.Symbol(NASTY), sp.Symbol("</style><!--{{model}} `${window.broken=1}` \u2028")
    rule = sd.UpdateRule(
        NASTY + "*/", [(theta, theta - rate * g)], [sd.Hyperparameter("learning_rate", rate, 0.1)], reference=NASTY
    )
    tab = visit(sd.Loss((first - 1) ** 2 + second**2 * first**2, [first, second]), None, None, rule)
    tab.wait_for_timeout(50)
    assert tab.evaluate("[window.broken, document.images.length]") == [None, 0]
    assert NASTY in tab.inner_text("#optimizer") and NASTY in tab.inner_text("#source")
    np.testing.assert_allclose(path_of(tab)[-1, 0], 1, atol=0.01)


@pytest.mark.browser
@browser_needed
def test_the_page_is_kept_from_the_network(browser, tmp_path):
    # a policy that a browser does not understand, and so ignores
    path = PARABOLA.explore_html(tmp_path / "page.html", 0.0, None, sd.GradientDescent(0.1))
    tab = browser.new_page()
    requests = []
    tab.on("request", lambda request: requests.append(request.url))
    tab.goto(path.as_uri())
    for attempt in (
        "fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')",
        "new Promise((done) => { const image = new Image(); image.onerror = () => done('refused'); image.src = 'http://127.0.0.1:9/a.png'; })",
        "new Promise((done) => { const script = document.createElement('script'); script.textContent = 'window.broken = 1'; document.body.append(script); done(window.broken ? 'ran' : 'refused'); })",
    ):
        assert tab.evaluate(attempt) == "refused"
    tab.close()
    assert [url for url in requests if not url.startswith(("file:", "http://127.0.0.1:9/"))] == []


def test_the_page_names_nothing_outside_of_it():
    # a font or a library from somewhere else; a page that differs from run to run
    text = page(PARABOLA, 0.0)
    addresses = set(re.findall(r"https?://[^\s\"'<>]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1998/Math/MathML"}
    assert "default-src 'none'" in text and not re.search(r"<(link|img|iframe|script src)", text)
    assert text == page(sd.Loss((w - 3) ** 2, w), 0.0)
    assert text.count("<script") == text.count("</script>") == 2


# -- looks ------------------------------------------------------------------------------------------------------------


@pytest.mark.browser
@browser_needed
@pytest.mark.parametrize(
    "window",
    [{"viewport": {"width": 360, "height": 740}}, {"viewport": {"width": 1200, "height": 800}, "color_scheme": "dark"}],
    ids=["telephone", "dark"],
)
def test_nothing_is_clipped(window, visit):
    # a page wider than the screen, a label outside of its picture, black on black
    loss, start, data = CASES["indexed"]
    tab = visit(loss, start, data, None, window=window, language="es")
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    inside = """[...document.querySelectorAll('.picture svg text')].every((text) => {
        const [a, b] = [text.getBoundingClientRect(), text.closest('.picture').getBoundingClientRect()];
        return a.left >= b.left - 1 && a.right <= b.right + 1 && a.top >= b.top - 1 && a.bottom <= b.bottom + 1;
    })"""
    assert tab.evaluate(inside)
    colours = tab.evaluate("[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]")
    light, dark = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in colours)
    assert abs(light - dark) > 400
    tab.click("#theme")
    assert tab.evaluate("getComputedStyle(document.body).color") != colours[0]
    assert tab.inner_text("h1") == "Explorador del descenso de gradiente"
    assert tab.get_attribute("html", "lang") == "es" and "pérdida" in tab.inner_text("#status")
    unnamed = "[...document.querySelectorAll('input, select, button')].filter((each) => !(each.labels?.length || each.getAttribute('aria-label') || each.getAttribute('aria-labelledby') || each.textContent.trim()))"
    assert tab.evaluate(f"{unnamed}.length") == 0


# -- what the page is made of -----------------------------------------------------------------------------------------


def test_sliders_come_from_the_records():
    # a slider that can be moved to where the record refuses the value
    for rule in RULES:
        for each in rule.program.numbers:
            spec = slider(each)
            assert spec["first"] <= spec["value"] <= spec["last"]
            for end in (spec["first"], spec["last"]):
                rule.with_(**{each.name: end})
    assert slider(sd.Adam().hyperparameters[2])["scale"] == "near one"


def test_a_step_gives_all_that_its_equations_need():
    # an abbreviation that nobody noted
    for rule in RULES:
        made = step(rule)
        known = {*made.states, *made.notes, *made.shared, *made.made, rule.parameter}
        assert {symbol for symbol, _ in rule.program.assignments} <= known


def test_a_start_data_and_rates_are_chosen():
    # a learning rate that diverges at once, a start at which nothing moves, data that nobody was told of
    def model(text):
        return json.loads(re.search(r'id="model">(.*?)</script>', text)[1])

    found = model(page(PARABOLA))
    assert found["coordinates"][0]["start"] == 0.0 and not found["drawn"]
    assert found["rules"][0]["settings"][0]["value"] == 0.1
    assert found["coordinates"][0]["low"] < 0 < 3 < found["coordinates"][0]["high"]
    assert len(found["rules"]) >= 6
    assert model(page(LINE, optimizers=sd.Adam()))["drawn"]
    assert model(page(sd.Loss(x - sp.log(x), x), optimizers=sd.Adam()))["coordinates"][0]["start"] == 2.0
    chosen = model(page(VALLEY, {"x": 0, "y": 0}, None, sd.Adam(), ranges={x: (-5, 5)}))
    assert (chosen["coordinates"][0]["low"], chosen["coordinates"][0]["high"]) == (-5.0, 5.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"optimizers": [sd.Newton()]}, "no update rule with fixed steps"),
        ({"optimizers": []}, "leaves nothing to descend with"),
        ({"ranges": {"v": (0, 1)}}, "ranges names v, but the parameters are w, b"),
        ({"ranges": {"w": (1, 0)}}, "give \\(low, high\\) with low < high"),
        ({"steps": 0}, "steps = 0 is not a count"),
        ({"language": "la"}, "language='la' is not one of"),
        ({"data": {"x": np.zeros(110_000), "y": np.ones(110_000)}}, "220000 numbers, and a page holds at most 200000"),
        ({"start": {"w": 1e200, "b": 0.0}}, "not finite at the start"),
        ({"data": {"x": [1.0]}}, "y has no value"),
    ],
)
def test_what_cannot_be_explored(given, message):
    # a page that fails in the browser instead
    options = {"start": {"w": 1.0, "b": 0.0}, "data": {"x": [1.0, 2.0], "y": [2.0, 4.0]}, **given}
    with pytest.raises(sd.SymdescentError, match=message):
        page(LINE, **options)


def test_too_many_parameters_are_refused():
    loss = sd.Loss(sp.Sum(W[j] ** 2, (j, 0, d - 1)), W)
    with pytest.raises(sd.DataError, match="3000 entries, and the explorer shows at most 2000"):
        page(loss, {"w": np.ones(3000)})


# -- in a notebook ----------------------------------------------------------------------------------------------------


def test_controls_in_a_notebook():
    # a slider that is not listened to; numbers other than those of the compiled descent
    pytest.importorskip("ipywidgets")
    rules = [sd.GradientDescent(0.01), sd.Adam(0.1)]
    explorer = VALLEY.explore({"x": -1.2, "y": 1.0}, None, rules, steps=20)
    controls = explorer.controls
    assert explorer.descent.fun == VALLEY.descend({"x": -1.2, "y": 1.0}, None, rules[0], steps=20, gtol=0).fun
    controls["learning_rate"].value = 0.02
    controls["start y"].value = 0.5
    controls["iterations"].value = 30
    wanted = VALLEY.descend({"x": -1.2, "y": 0.5}, None, sd.GradientDescent(0.02), steps=30, gtol=0)
    assert explorer.descent.fun == pytest.approx(wanted.fun, rel=1e-14) and explorer.descent.nit == 30
    controls["optimizer"].value = 1
    assert "beta1" in controls and explorer.descent.optimizer.name == "Adam"
    controls["step"].value = 4
    assert "<math" in explorer._numbers.value and bytes(explorer._picture.value[:4]) == b"\x89PNG"
    left, right = explorer.figure.axes
    (line, *_) = left.get_lines()
    np.testing.assert_allclose(line.get_xdata(), explorer.descent.trajectory["x"])
    assert right.get_yscale() == "log" and left.get_xlabel() == "x"
    bundle = explorer._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in (bundle[0] if isinstance(bundle, tuple) else bundle)


def test_divergence_in_a_notebook():
    pytest.importorskip("ipywidgets")
    explorer = PARABOLA.explore(0.0, None, sd.GradientDescent(0.1), steps=40)
    explorer.controls["learning_rate"].value = 5.0
    assert "try a learning rate below 5" in explorer._status.value
    assert explorer.controls["step"].max == explorer.descent.nit < 40


def test_without_ipywidgets_a_notebook_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(sd.UnsupportedError, match=r"symdescent\[notebook\].*explore_html"):
        PARABOLA.explore(0.0, optimizers=sd.GradientDescent(0.1))
