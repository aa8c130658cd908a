// Sliders, each with a field for the exact number.

/**
 * Between the value of a setting and the position of its slider.
 *
 * Logarithmic ones have so few positions that each press of a key changes the value, which is rounded to two digits.
 */
function division({ scale: kind, first, last, whole }) {
  if (kind === "log") {
    const [a, b] = [Math.log10(first), Math.log10(last)];
    const positions = 20 * Math.round(b - a);
    return {
      positions,
      position: (value) => (positions * (Math.log10(value) - a)) / (b - a),
      value: (position) => {
        const exact = Math.pow(10, a + ((b - a) * position) / positions);
        return whole ? Math.round(exact) : Number(exact.toPrecision(2));
      },
    };
  }
  if (kind === "near one") {
    const end = -Math.log10(1 - last);
    const positions = 20 * Math.round(end);
    return {
      positions,
      position: (value) => (positions * -Math.log10(1 - value)) / end,
      value: (position) => Number((1 - Number(Math.pow(10, (-end * position) / positions).toPrecision(2))).toPrecision(8)),
    };
  }
  return {
    positions: 300,
    position: (value) => (300 * (value - first)) / (last - first),
    value: (position) => fine(first + ((last - first) * position) / 300, last - first),
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
  const { positions, position, value: valueOf } = division(spec);
  Object.assign(slider, { type: "range", id, min: 0, max: positions, step: 1 });
  slider.setAttribute("aria-labelledby", caption.id);
  const field = document.createElement("input");
  Object.assign(field, { type: "number", id: `${id}-number`, step: "any" });
  row.append(caption, field, slider);
  container.appendChild(row);
  const show = (now, from) => {
    slider.setAttribute("aria-valuetext", plain(now));
    if (from !== slider) {
      slider.value = position(now); // else it stays where it was moved to, though the value is rounded
    }
    if (from !== field) {
      field.value = now;
    }
    field.setCustomValidity("");
  };
  slider.addEventListener("input", () => {
    const now = valueOf(Number(slider.value));
    show(now, slider);
    changed(now);
  });
  field.addEventListener("input", () => {
    const now = field.value === "" ? NaN : Number(field.value);
    const reason = objection(now, spec);
    field.setCustomValidity(reason);
    if (!reason) {
      show(now, field);
      changed(now);
    }
  });
  field.addEventListener("change", () => field.reportValidity());
  show(value);
  return { show, slider, field };
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
