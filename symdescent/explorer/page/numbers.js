// Numbers and words: how they are shown, and where the marks of an axis stand.

const model = JSON.parse(document.getElementById("model").textContent);
const words = model.words;

/** A text of the page's language, with its open places filled. */
function say(key, ...parts) {
  return words[key].replace(/\{(\d)\}/g, (_, place) => parts[place]);
}

/** Sign, leading digits and power of ten of a number with so many significant digits; no power where none is needed. */
function parted(value, digits) {
  const size = Math.abs(value);
  const sign = value < 0 ? "−" : "";
  if (size !== 0 && (size < 1e-4 || size >= 1e6)) {
    const [head, power] = size.toExponential(digits - 1).split("e");
    return { sign, head: String(Number(head)), power: Number(power) };
  }
  return { sign, head: String(Number(size.toPrecision(digits))), power: 0 };
}

/** A number as plain text: −1.5, 2×10⁻⁷. */
function plain(value, digits = 6) {
  if (!Number.isFinite(value)) {
    return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  }
  const { sign, head, power } = parted(value, digits);
  const raised = String(power).replace(/./g, (mark) => "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"["0123456789-".indexOf(mark)]);
  return sign + (power && head === "1" ? `10${raised}` : head + (power ? `×10${raised}` : ""));
}

/** A number as MathML; in brackets if it is negative and follows a sign, or if it is raised to a power and no plain one. */
function mathNumber(value, followsSign, isRaised) {
  if (!Number.isFinite(value)) {
    return `<mi mathvariant="normal">${plain(value)}</mi>`;
  }
  const { sign, head, power } = parted(value, 6);
  const raised = power < 0 ? `<mrow><mo form="prefix">−</mo><mn>${-power}</mn></mrow>` : `<mn>${power}</mn>`;
  const tens = power ? `<msup><mn>10</mn>${raised}</msup>` : "";
  const digits = power && head === "1" ? "" : `<mn>${head}</mn>${power ? "<mo>×</mo>" : ""}`;
  const text = `${sign ? '<mo form="prefix">−</mo>' : ""}${digits}${tens}`;
  const fenced = sign ? followsSign || isRaised : power && isRaised;
  return fenced ? `<mo stretchy="false">(</mo>${text}<mo stretchy="false">)</mo>` : text;
}

/** Round marks between two numbers. */
function marks(low, high, count) {
  const rough = (high - low) / count;
  const unit = Math.pow(10, Math.floor(Math.log10(rough)));
  const step = [1, 2, 5, 10].find((factor) => factor * unit >= rough) * unit;
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) {
    found.push(Number((k * step).toPrecision(12)));
  }
  return found;
}

/** Powers of ten between two numbers, not more than about so many. */
function powers(low, high, count) {
  const first = Math.ceil(Math.log10(low) - 1e-9);
  const last = Math.floor(Math.log10(high) + 1e-9);
  const step = Math.max(1, Math.ceil((last - first + 1) / count));
  const found = [];
  for (let k = first; k <= last; k += step) {
    found.push(Math.pow(10, k));
  }
  return found.length > 1 ? found : marks(low, high, 3).filter((mark) => mark > 0);
}

/** A value rounded to the resolution of a range. */
function fine(value, width) {
  const unit = Math.pow(10, Math.floor(Math.log10(width / 300)));
  return Number((Math.round(value / unit) * unit).toPrecision(12));
}
