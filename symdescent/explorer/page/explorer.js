// What is chosen, and the controls that choose it.

const MOST_SLIDERS = 8;
const byId = (id) => document.getElementById(id);
const state = {};

/** Everything as it was at first. */
function begin() {
  Object.assign(state, {
    rule: 0,
    settings: model.rules.map(({ settings }) => Object.fromEntries(settings.map(({ name, value }) => [name, value]))),
    start: Float64Array.from(model.coordinates, (each) => each.start),
    steps: model.steps,
    now: 0,
    axes: size > 1 ? [0, 1] : [0],
    coordinate: 0,
    compared: new Set(),
    playing: null,
  });
}

/** Descend anew with what is chosen. */
function compute() {
  const few = size <= 64 ? Array.from({ length: size }, (_, k) => k) : state.axes;
  state.watched = Array.from(new Set([...few, ...state.axes, state.coordinate]));
  const run = (rule) => descend(rule, state.settings[rule], state.start, state.steps, state.watched);
  const others = [...state.compared].filter((rule) => rule !== state.rule).sort((a, b) => a - b);
  state.runs = [state.rule, ...others].map((rule, place) => ({
    rule,
    name: model.rules[rule].name,
    run: run(rule),
    look: place % 7,
    isMain: place === 0,
  }));
  state.now = Math.min(state.now, state.runs[0].run.path.length - 1);
}

// -- choosing --------------------------------------------------------------------------------------------------------

let pending = 0;

/** Compute and show before the next picture; `isNew` where the runs change. */
function refresh(isNew) {
  state.isNew = state.isNew || isNew;
  if (!pending) {
    pending = requestAnimationFrame(flush);
  }
}

/** What was asked for, at once. */
function flush() {
  cancelAnimationFrame(pending);
  pending = 0;
  if (state.isNew) {
    state.isNew = false;
    compute();
  }
  show();
}

/** The sliders of the chosen optimizer. */
function showSettings() {
  const box = byId("settings");
  const { settings } = model.rules[state.rule];
  box.querySelectorAll(".control").forEach((old) => old.remove());
  box.hidden = !settings.length;
  settings.forEach((spec) => {
    makeControl(box, {
      label: spec.label,
      math: spec.math,
      spec,
      value: state.settings[state.rule][spec.name],
      changed: (value) => {
        state.settings[state.rule][spec.name] = value;
        refresh(true);
      },
    });
  });
}

/** The sliders of the start: of all coordinates, or of those that the picture shows. */
function showStart() {
  const box = byId("start");
  box.querySelectorAll(".control").forEach((old) => old.remove());
  const coordinates = size <= MOST_SLIDERS ? model.coordinates.map((_, k) => k) : state.axes;
  state.startControls = new Map(
    coordinates.map((coordinate) => {
      const { math, low, high, start } = model.coordinates[coordinate];
      const spec = { scale: "linear", first: Math.min(low, start), last: Math.max(high, start) };
      const changed = (value) => {
        state.start[coordinate] = value;
        refresh(true);
      };
      return [coordinate, makeControl(box, { label: "", math, spec, value: state.start[coordinate], changed })];
    })
  );
}

/** The choice of optimizers to compare with. */
function showCompared() {
  const box = byId("compare");
  box.hidden = model.rules.length < 2;
  box.querySelectorAll("label").forEach((old) => old.remove());
  model.rules.forEach(({ name }, rule) => {
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), { type: "checkbox", checked: state.compared.has(rule) });
    input.disabled = rule === state.rule;
    input.addEventListener("change", () => {
      state.compared[input.checked ? "add" : "delete"](rule);
      refresh(true);
    });
    label.append(input, ` ${name}`);
    box.appendChild(label);
  });
}

/** The choice of the coordinates that are shown, where there is one. */
function showChoices() {
  const names = model.coordinates.map(({ name }, k) => [k, name]);
  const axes = byId("axes");
  axes.replaceChildren();
  if (size > 2) {
    ["horizontal", "vertical"].forEach((side, place) => {
      const select = document.createElement("select");
      select.setAttribute("aria-label", words[side]);
      fillSelect(select, names, state.axes[place]);
      select.addEventListener("change", () => {
        const chosen = Number(select.value);
        const other = 1 - place;
        if (state.axes[other] === chosen) {
          state.axes[other] = state.axes[place];
        }
        state.axes[place] = chosen;
        showChoices();
        showStart();
        refresh(true);
      });
      axes.append(place ? " × " : "", select);
    });
  }
  const box = byId("coordinate");
  box.replaceChildren();
  if (size > 1) {
    const select = document.createElement("select");
    select.setAttribute("aria-label", words.coordinate);
    fillSelect(select, names, state.coordinate);
    select.addEventListener("change", () => {
      state.coordinate = Number(select.value);
      refresh(true);
    });
    box.append(`${words.coordinate} `, select);
  }
}

/** All controls, as things were at first. */
function showControls() {
  fillSelect(byId("optimizer"), model.rules.map(({ name }, k) => [k, name]), state.rule);
  showSettings();
  showStart();
  showCompared();
  showChoices();
  byId("steps").replaceChildren();
  const most = model.mostSteps;
  state.stepsControl = makeControl(byId("steps"), {
    label: words.iterations,
    spec: { scale: "log", first: 1, last: Math.max(1000, model.steps), least: 1, most, whole: true },
    value: state.steps,
    changed: (value) => {
      state.steps = value;
      refresh(true);
    },
  });
}

/** Choose another optimizer. */
function chooseRule(rule) {
  state.rule = rule;
  byId("optimizer").value = rule;
  showSettings();
  showCompared();
  refresh(true);
}

/** Go to a step. */
function goTo(step) {
  state.now = Math.min(Math.max(0, step), state.runs[0].run.path.length - 1);
  refresh(false);
}

/** Let the steps follow one another, the whole path in some seconds. */
function play(isOn) {
  clearInterval(state.playing);
  state.playing = null;
  const button = byId("play");
  const end = state.runs[0].run.path.length - 1;
  if (isOn && end > 0) {
    if (state.now >= end) {
      goTo(0);
    }
    const stride = Math.max(1, Math.round(end / 120));
    const advance = () => {
      goTo(state.now + stride);
      if (state.now >= state.runs[0].run.path.length - 1) {
        play(false);
      }
    };
    state.playing = setInterval(advance, Math.min(400, Math.max(50, 6000 / end)));
  }
  const label = state.playing ? words.pause : words.play;
  button.setAttribute("aria-label", label);
  button.title = label;
  button.classList.toggle("on", Boolean(state.playing));
}

/** Start where the picture was pressed. */
function startAt(event) {
  const area = byId("landscape").getBoundingClientRect();
  const { x, y, box } = state.picture;
  const across = Math.min(box.right, Math.max(box.left, event.clientX - area.left));
  const up = Math.min(box.bottom, Math.max(box.top, event.clientY - area.top));
  const found = [fine(x.back(across), x.high - x.low), fine(y.back(up), y.high - y.low)];
  state.axes.forEach((coordinate, place) => {
    state.start[coordinate] = found[place];
    const control = state.startControls.get(coordinate);
    if (control) {
      control.show(found[place]);
    }
  });
  state.now = 0;
  refresh(true);
}

/** What the page listens to. */
function listen() {
  byId("optimizer").addEventListener("change", (event) => chooseRule(Number(event.target.value)));
  byId("step").addEventListener("input", (event) => goTo(Number(event.target.value)));
  byId("first").addEventListener("click", () => goTo(0));
  byId("previous").addEventListener("click", () => goTo(state.now - 1));
  byId("next").addEventListener("click", () => goTo(state.now + 1));
  byId("last").addEventListener("click", () => goTo(Infinity));
  byId("play").addEventListener("click", () => play(!state.playing));
  byId("reset").addEventListener("click", () => {
    play(false);
    begin();
    showControls();
    refresh(true);
  });
  byId("theme").addEventListener("click", () => {
    const isDark = getComputedStyle(document.documentElement).getPropertyValue("--is-dark").trim() === "1";
    document.documentElement.dataset.theme = isDark ? "light" : "dark";
    refresh(false);
  });
  const landscape = byId("landscape");
  landscape.addEventListener("click", startAt);
  landscape.addEventListener("pointerdown", (event) => {
    if (event.button === 0 && event.pointerType !== "touch") {
      landscape.setPointerCapture(event.pointerId);
      startAt(event);
    }
  });
  landscape.addEventListener("pointermove", (event) => {
    if (landscape.hasPointerCapture(event.pointerId)) {
      startAt(event);
    }
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => refresh(false));
  new ResizeObserver(() => refresh(false)).observe(landscape);
}

begin();
compute();
showControls();
listen();
flush();
byId("data-note").textContent = model.drawn
  ? words["example data"]
  : model.numbers
    ? say("samples", model.numbers)
    : "";
byId("loss").hidden = !byId("loss").childElementCount;

// for tests and for the curious
window.explorer = { model, state, valueAt, valueAndSlopeAt, chooseRule, goTo, refresh, flush };
