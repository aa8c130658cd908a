// What pictures are made of: elements of SVG, frames with axes, paths; and the picture of the losses.

/** An element of SVG. */
function shape(name, attributes, parent, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) {
    element.setAttribute(key, value);
  }
  if (text !== undefined) {
    element.textContent = text;
  }
  if (parent) {
    parent.appendChild(element);
  }
  return element;
}

/** How a range of numbers becomes a range of pixels. */
function scale(low, high, first, last, isLog) {
  const of = isLog ? Math.log10 : (value) => value;
  const [a, b] = [of(low), of(high)];
  const map = (value) => first + ((of(value) - a) / (b - a)) * (last - first);
  map.back = (pixel) => low + ((pixel - first) / (last - first)) * (high - low);
  map.low = low;
  map.high = high;
  return map;
}

/** An empty picture with axes: the element, the scales, and the layer inside of the frame. */
function frame(container, x, y, marksX, marksY, label, labels) {
  container.querySelectorAll("svg, .axis").forEach((old) => old.remove());
  const width = container.clientWidth;
  const height = container.clientHeight;
  const box = { left: 58, top: 12, right: width - 14, bottom: height - 36 };
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, container);
  const mapX = scale(x.low, x.high, box.left, box.right, x.isLog);
  const mapY = scale(y.low, y.high, box.bottom, box.top, y.isLog);
  const id = `clip-${container.id}`;
  const clip = shape("clipPath", { id }, svg);
  const inside = { x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top };
  shape("rect", inside, clip);
  const grid = shape("g", { class: "grid" }, svg);
  for (const mark of marksX) {
    const at = mapX(mark);
    shape("line", { x1: at, x2: at, y1: box.top, y2: box.bottom }, grid);
    shape("text", { x: at, y: box.bottom + 16, "text-anchor": "middle" }, grid, plain(mark, 4));
  }
  for (const mark of marksY) {
    const at = mapY(mark);
    shape("line", { x1: box.left, x2: box.right, y1: at, y2: at }, grid);
    shape("text", { x: box.left - 6, y: at + 4, "text-anchor": "end" }, grid, plain(mark, 3));
  }
  shape("rect", { ...inside, class: "border" }, svg);
  const layer = shape("g", { "clip-path": `url(#${id})` }, svg);
  for (const [side, text] of Object.entries(labels)) {
    const span = document.createElement("span");
    span.className = `axis ${side}`;
    span.innerHTML = text;
    container.appendChild(span);
  }
  return { svg, layer, box, x: mapX, y: mapY };
}

/** Text of the page's own words, for places that take HTML. */
function escaped(text) {
  const span = document.createElement("span");
  span.textContent = text;
  return span.innerHTML;
}

/** A line through points in pixels; points that are not finite or far away interrupt it. */
function lineThrough(points) {
  let text = "";
  let isOpen = false;
  for (const [x, y] of points) {
    const isThere = Math.abs(x) < 1e5 && Math.abs(y) < 1e5;
    text += isThere ? `${isOpen ? "L" : "M"}${x.toFixed(2)} ${y.toFixed(2)}` : "";
    isOpen = isThere;
  }
  return text || "M0 0";
}

/** The path of one run: what is past stands out, what is to come is faint. */
function drawPath(layer, points, now, look, isMain) {
  const past = points.slice(0, now + 1);
  const common = { class: `path look-${look}` };
  shape("path", { ...common, class: `${common.class} future`, d: lineThrough(points.slice(now)) }, layer);
  if (isMain) {
    shape("path", { class: "halo", d: lineThrough(past) }, layer);
  }
  shape("path", { ...common, d: lineThrough(past) }, layer);
  const every = Math.max(1, Math.ceil(points.length / 150));
  points.forEach(([x, y], place) => {
    if (place % every === 0 && Number.isFinite(x) && Number.isFinite(y) && isMain) {
      const faint = place > now ? " future" : "";
      shape("circle", { cx: x, cy: y, r: 2.2, class: `dot look-${look}${faint}` }, layer);
    }
  });
}

/** The marks of a path: a ring at the start, a square at the end, a disc at the current step, a cross where it broke. */
function drawMarks(layer, points, now, isBroken) {
  const seen = points.filter(([x, y]) => Math.abs(x) < 1e5 && Math.abs(y) < 1e5);
  if (!seen.length) {
    return;
  }
  const [startX, startY] = seen[0];
  const [endX, endY] = seen[seen.length - 1];
  if (isBroken) {
    shape("path", { class: "cross", d: `M${endX - 6} ${endY - 6}l12 12m0-12l-12 12` }, layer);
  } else {
    shape("rect", { class: "end", x: endX - 5, y: endY - 5, width: 10, height: 10 }, layer);
  }
  shape("circle", { class: "begin", cx: startX, cy: startY, r: 6.5 }, layer);
  const [x, y] = points[now];
  if (Number.isFinite(x) && Number.isFinite(y)) {
    shape("circle", { class: "now", cx: x, cy: y, r: 5.5 }, layer);
  }
}

/** The losses of all runs against the step, on a logarithmic axis where they are positive. */
function drawCosts(container, runs, now) {
  const all = runs.flatMap(({ run }) => run.losses.filter(Number.isFinite));
  const longest = Math.max(...runs.map(({ run }) => run.losses.length - 1), 1);
  if (!all.length) {
    all.push(1, 2);
  }
  let low = all.reduce((a, b) => Math.min(a, b));
  let high = all.reduce((a, b) => Math.max(a, b));
  const isLog = low > 0 && high / low > 5;
  if (isLog) {
    low = Math.max(low, high * 1e-18) / 1.6;
    high *= 1.6;
  } else {
    const margin = 0.07 * (high - low) || 0.1 * Math.abs(high) || 1;
    low -= margin;
    high += margin;
  }
  const marksY = isLog ? powers(low, high, 6) : marks(low, high, 5);
  const marksX = marks(0, longest, Math.max(3, container.clientWidth / 90)).filter(Number.isInteger);
  const label = `${words.cost}: ${runs.map(({ run, name }) => `${name} ${plain(last(run.losses), 4)}`).join("; ")}`;
  const picture = frame(
    container,
    { low: -0.02 * longest, high: 1.02 * longest },
    { low, high, isLog },
    marksX,
    marksY,
    label,
    { x: escaped(words["step axis"]), y: model.letter }
  );
  for (const { run, look, isMain } of [...runs].reverse()) {
    const points = run.losses.map((loss, k) => [picture.x(k), picture.y(loss)]);
    drawPath(picture.layer, points, Math.min(now, points.length - 1), look, isMain);
    if (isMain) {
      const at = picture.x(now);
      shape("line", { class: "cursor", x1: at, x2: at, y1: picture.box.top, y2: picture.box.bottom }, picture.layer);
      drawMarks(picture.layer, points, now, run.status !== "done");
    }
  }
  return picture;
}

/** The last entry. */
function last(array) {
  return array[array.length - 1];
}
