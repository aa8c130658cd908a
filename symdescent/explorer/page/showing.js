// The page as it follows from what is chosen: pictures, notes, legend, status and the numbers of the step.

/** All that depends on the runs. */
function show() {
  const { run } = state.runs[0];
  const base = run.path[state.now].every(Number.isFinite) ? run.path[state.now] : state.start;
  const landscape = byId("landscape");
  const isCurve = state.axes.length === 1;
  landscape.querySelector("canvas").hidden = isCurve;
  state.picture = isCurve
    ? drawCurve(landscape, state.runs, state.now, base, state.axes[0])
    : drawContours(landscape, state.runs, state.now, base, state.axes);
  drawCosts(byId("cost"), state.runs, state.now);
  const slider = byId("step");
  slider.max = run.path.length - 1;
  slider.value = state.now;
  byId("step-shown").textContent = `${state.now} / ${run.path.length - 1}`;
  slider.setAttribute("aria-valuetext", say("at step", state.now, plain(run.losses[state.now])));
  showNotes();
  showLegend();
  showStatus();
  showNumbers();
}

/** What is said below the landscape. */
function showNotes() {
  const { run } = state.runs[0];
  byId("landscape-title").textContent = size === 1 ? words.curve : size === 2 ? words.contours : words.slice;
  const { x, y } = state.picture;
  const isOutside = run.path.some((theta) =>
    state.axes.some((coordinate, place) => {
      const range = place ? y : x;
      return theta[coordinate] < range.low || theta[coordinate] > range.high;
    })
  );
  const notes = [
    state.picture.isEmpty ? words["no numbers"] : "",
    size > 2 ? say("slice note", size - 2, state.now) : "",
    isOutside ? words.outside : "",
    words.marks,
    state.axes.length === 1 ? words["marks curve"] : words["marks contours"],
    words.click,
  ];
  byId("landscape-note").textContent = notes.filter(Boolean).join(" ");
}

/** The names of the runs beside their lines. */
function showLegend() {
  byId("legend").replaceChildren(
    ...state.runs.map(({ name, look, run }) => {
      const item = document.createElement("li");
      const line = shape("svg", { viewBox: "0 0 34 8", class: "sample", "aria-hidden": "true" }, item);
      shape("path", { class: `path look-${look}`, d: "M1 4H33" }, line);
      item.append(` ${name}: ${plain(last(run.losses), 4)}`);
      return item;
    })
  );
}

/** How the runs ended. */
function showStatus() {
  const lines = state.runs.map(({ name, run }) => {
    const step = run.path.length - 1;
    const shown = [name[0].toUpperCase() + name.slice(1), step, plain(last(run.losses)), plain(last(run.slopes), 3)];
    const key = run.status === "done" ? "after" : run.status === "not finite" && !step ? "no start" : run.status;
    const line = document.createElement("span");
    line.textContent = say(key, ...shown);
    line.classList.toggle("alarm", run.status !== "done");
    return line;
  });
  byId("status").replaceChildren(...lines);
}

/** The equations of the current step with its numbers. */
function showNumbers() {
  const { run, rule } = state.runs[0];
  const record = run.records[state.now];
  const isLast = !record || !record.after;
  const place = state.watched.indexOf(state.coordinate);
  const table = document.createElement("table");
  table.className = "equations";
  const caption = table.createCaption();
  const said = isLast ? words["worked end"] : say("worked intro", state.now, state.now + 1);
  caption.textContent = `${say("rule of", model.rules[rule].name)}. ${said}`;
  const { derivative } = model.coordinates[state.coordinate];
  const gradient = [
    "<math><msub><mi>g</mi><mi>k</mi></msub></math>",
    derivative,
    "",
    record ? record.before.g[place] : NaN,
  ];
  const rows = model.rules[rule].equations.map((each) => {
    const number = (which) => numberAt(which, record, place);
    if (isLast) {
      return [each.left, each.formula, "", null];
    }
    return [each.left, each.formula, filled(each, number), number(each.result)];
  });
  for (const [left, formula, numbers, result] of [gradient, ...rows]) {
    const row = table.insertRow();
    const equals = "<math><mo>=</mo></math>";
    const cells = [left, formula && equals + formula, numbers && equals + numbers];
    cells.push(result === null ? "" : `${equals}<math><mrow>${mathNumber(result)}</mrow></math>`);
    for (const cell of cells) {
      row.insertCell().innerHTML = cell;
    }
  }
  byId("worked").replaceChildren(table);
  byId("source").textContent = model.rules[rule].reference;
}

/** A formula with the numbers in its open places. */
function filled({ filled: html, places }, number) {
  const holder = document.createElement("template");
  holder.innerHTML = html;
  holder.content.querySelectorAll("mn[data-place]").forEach((place) => {
    const isRaised = place.parentNode.localName === "msup" && !place.previousElementSibling;
    const followsSign = place.previousElementSibling && ["mrow", "msqrt"].includes(place.parentNode.localName);
    const row = document.createElementNS("http://www.w3.org/1998/Math/MathML", "mrow");
    row.innerHTML = mathNumber(number(places[Number(place.dataset.place)]), followsSign, isRaised);
    place.replaceWith(row);
  });
  return holder.innerHTML;
}
