// Sliders, each with a field for the exact number.

const POSITIONS = 1000;

/** Between the value of a setting and the position of its slider. */
function division({ scale: kind, first, last }) {
  if (kind === "log") {
    const [a, b] = [Math.log10(first), Math.log10(last)];
    return {
      position: (value) => (POSITIONS * (Math.log10(value) - a)) / (b - a),
      value: (position) => Number(Math.pow(10, a + ((b - a) * position) / POSITIONS).toPrecision(2)),
    };
  }
  if (kind === "near one") {
    const end = -Math.log10(1 - last);
    return {
      position: (value) => (POSITIONS * -Math.log10(1 - value)) / end,
      value: (position) => Number((1 - Number(Math.pow(10, (-end * position) / POSITIONS).toPrecision(2))).toPrecision(8)),
    };
  }
  return {
    position: (value) => (POSITIONS * (value - first)) / (last - first),
    value: (position) => fine(first + ((last - first) * position) / POSITIONS, last - first),
  };
}

/** Why a number cannot be taken; empty if it can. */
function objection(value, { least, most, open, whole }) {
  if (!Number.isFinite(value) || (whole && !Number.isInteger(value))) {
    return "?";
  }
  const [isOpenBelow, isOpenAbove] = open || [false, false];
  if (typeof least === "number" && (isOpenBelow ? value <= least : value < least)) {
    return isOpenBelow ? `> ${plain(least)}` : `≥ ${plain(least)}`;
  }
  if (typeof most === "number" && (isOpenAbove ? value >= most : value > most)) {
    return isOpenAbove ? `< ${plain(most)}` : `≤ ${plain(most)}`;
  }
  return "";
}

let controlCount = 0;

/** A slider with its label and its field; `changed` is called with every value that may be taken. */
function makeControl(container, { label, math, spec, value, changed }) {
  const id = `control-${controlCount++}`;
  const row = document.createElement("div");
  row.className = "control";
  const caption = document.createElement("label");
  caption.htmlFor = `${id}-number`;
  caption.id = `${id}-label`;
  caption.textContent = label ? `${label} ` : "";
  caption.insertAdjacentHTML("beforeend", math || "");
  const slider = document.createElement("input");
  Object.assign(slider, { type: "range", id, min: 0, max: POSITIONS, step: 1 });
  slider.setAttribute("aria-labelledby", caption.id);
  const field = document.createElement("input");
  Object.assign(field, { type: "number", id: `${id}-number`, step: "any" });
  row.append(caption, field, slider);
  container.appendChild(row);
  const { position, value: valueOf } = division(spec);
  const show = (now, isTyped) => {
    slider.value = position(now);
    slider.setAttribute("aria-valuetext", plain(now));
    if (!isTyped) {
      field.value = now;
    }
    field.setCustomValidity("");
  };
  slider.addEventListener("input", () => {
    const now = valueOf(Number(slider.value));
    show(now, false);
    changed(now);
  });
  field.addEventListener("input", () => {
    const now = field.value === "" ? NaN : Number(field.value);
    const reason = objection(now, spec);
    field.setCustomValidity(reason);
    if (!reason) {
      show(now, true);
      changed(now);
    }
  });
  field.addEventListener("change", () => field.reportValidity());
  show(value, false);
  return { show: (now) => show(now, false), slider, field };
}

/** A choice among texts; `html` may hold formulas for a longer label. */
function fillSelect(select, options, chosen) {
  select.replaceChildren(
    ...options.map(([value, text]) => {
      const option = document.createElement("option");
      option.value = value;
      option.textContent = text;
      return option;
    })
  );
  select.value = chosen;
}
