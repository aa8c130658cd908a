// The loss itself: as a curve over one coordinate, or as contours over two, with the path on it.

const grids = new Map(); // values that were computed, by what they depend on

/** How long one evaluation takes, in milliseconds. */
const pace = (() => {
  const start = model.coordinates.map((each) => each.start);
  const measure = () => {
    const begun = performance.now();
    let count = 0;
    do {
      valueAt(start);
      count++;
    } while (performance.now() - begun < 4);
    return (performance.now() - begun) / count;
  };
  measure(); // the first calls are slow
  return measure();
})();

/** Keep a few computed grids. */
function remembered(key, compute) {
  if (!grids.has(key)) {
    if (grids.size > 24) {
      grids.clear();
    }
    grids.set(key, compute());
  }
  return grids.get(key);
}

/** The range that is shown of a coordinate: its own, enlarged in steps where the paths leave it, up to four times. */
function shownRange(coordinate, paths) {
  const { low, high } = model.coordinates[coordinate];
  const middle = (low + high) / 2;
  const half = (high - low) / 2;
  let reach = half;
  for (const path of paths) {
    for (const theta of path) {
      const away = Math.abs(theta[coordinate] - middle);
      reach = away > reach && Number.isFinite(away) ? away : reach;
    }
  }
  const factor = reach <= half * 1.0001 ? 1 : reach <= 1.9 * half ? 2 : 4;
  return { low: middle - factor * half, high: middle + factor * half };
}

/** Some of the smallest and largest numbers set aside: the range of the rest. */
function usual(values, share) {
  const sorted = Float64Array.from(values.filter(Number.isFinite)).sort();
  const at = (part) => sorted[Math.min(sorted.length - 1, Math.max(0, Math.round(part * (sorted.length - 1))))];
  return { count: sorted.length, least: sorted[0], few: at(0.03), middle: at(0.5), most: at(1 - share) };
}

/** The curve of the loss over one coordinate, with the path on it and the tangent at the current step. */
function drawCurve(container, runs, now, base, coordinate) {
  const x = shownRange(coordinate, runs.map(({ run }) => run.path));
  const count = Math.max(60, Math.min(600, Math.round(250 / pace)));
  const vector = Float64Array.from(base);
  const others = size > 1 ? Array.from(base).join() : "";
  const values = remembered(`${coordinate} ${x.low} ${x.high} ${others}`, () =>
    Array.from({ length: count + 1 }, (_, k) => {
      vector[coordinate] = x.low + ((x.high - x.low) * k) / count;
      return valueAt(vector);
    })
  );
  const found = usual(values, 0.01);
  const within = runs.filter(({ isMain }) => isMain).flatMap(({ run }) =>
    run.losses.filter((_, k) => run.path[k][coordinate] >= x.low && run.path[k][coordinate] <= x.high)
  );
  let low = found.count ? found.least : 0;
  let high = found.count ? found.most : 1;
  for (const loss of within) {
    high = Number.isFinite(loss) && loss < low + 10 * (high - low) ? Math.max(high, loss) : high;
  }
  const margin = 0.08 * (high - low) || 0.5;
  const y = { low: low - margin, high: high + margin };
  const { run } = runs[0];
  const label = `${words.curve}. ${say("at step", now, plain(run.losses[now], 4))}`;
  const marksX = marks(x.low, x.high, Math.max(3, container.clientWidth / 80));
  const labels = { x: model.coordinates[coordinate].math, y: model.letter };
  const picture = frame(container, x, y, marksX, marks(y.low, y.high, 5), label, labels);
  const curve = values.map((value, k) => [picture.x(x.low + ((x.high - x.low) * k) / count), picture.y(value)]);
  shape("path", { class: "curve", d: lineThrough(curve) }, picture.layer);
  drawTangent(picture, run, now, coordinate, x);
  for (const each of [...runs].reverse()) {
    const points = each.run.path.map((theta, k) => [picture.x(theta[coordinate]), picture.y(each.run.losses[k])]);
    drawPath(picture.layer, points, Math.min(now, points.length - 1), each.look, each.isMain);
    if (each.isMain) {
      drawMarks(picture.layer, points, now, run.status !== "done");
    }
  }
  return { ...picture, isEmpty: !found.count };
}

/** The tangent at the current step, as long as the step at least. */
function drawTangent(picture, run, now, coordinate, x) {
  const { before, after } = run.records[now] || {};
  if (!before) {
    return;
  }
  const place = state.watched.indexOf(coordinate);
  const [at, slopeThere] = [before.theta[place], before.g[place]];
  const move = after ? after.theta[place] - at : 0;
  const half = Math.max((x.high - x.low) / 9, Math.min(Math.abs(move), x.high - x.low));
  const ends = [at - half, at + half].map((there) => [
    picture.x(there),
    picture.y(before.loss + slopeThere * (there - at)),
  ]);
  shape("path", { class: "tangent", d: lineThrough(ends) }, picture.layer);
}

/** Contours over two coordinates; the others stay where they are in the current step. */
function drawContours(container, runs, now, base, [first, second]) {
  const paths = runs.map(({ run }) => run.path);
  const x = shownRange(first, paths);
  const y = shownRange(second, paths);
  const count = Math.max(24, Math.min(140, Math.round(Math.sqrt(160 / pace))));
  const others = size > 2 ? Array.from(base).join() : "";
  const key = `${first} ${second} ${x.low} ${x.high} ${y.low} ${y.high} ${others}`;
  const values = remembered(key, () => gridOf(first, second, x, y, count, base));
  const { run } = runs[0];
  const title = size > 2 ? words.slice : words.contours;
  const label = `${title}. ${say("at step", now, plain(run.losses[now], 4))}`;
  const picture = frame(
    container,
    x,
    y,
    marks(x.low, x.high, Math.max(3, container.clientWidth / 80)),
    marks(y.low, y.high, 6),
    label,
    { x: model.coordinates[first].math, y: model.coordinates[second].math }
  );
  const { found, levels, lines } = remembered(`lines ${key}`, () => {
    const kept = usual(values, 0.02);
    const chosen = levelsOf(kept);
    return { found: kept, levels: chosen, lines: contours(values, count, chosen) };
  });
  paintBands(container.querySelector("canvas"), key, values, count, levels, picture.box);
  const { left, top, right, bottom } = picture.box;
  const move = `translate(${left} ${bottom}) scale(${(right - left) / count} ${(top - bottom) / count})`;
  const layer = shape("g", { class: "contours", transform: move }, picture.layer);
  lines.forEach((d) => d && shape("path", { d, "vector-effect": "non-scaling-stroke" }, layer));
  drawGradient(picture, run, now, first, second);
  for (const each of [...runs].reverse()) {
    const points = each.run.path.map((theta) => [picture.x(theta[first]), picture.y(theta[second])]);
    drawPath(picture.layer, points, Math.min(now, points.length - 1), each.look, each.isMain);
    if (each.isMain) {
      drawMarks(picture.layer, points, now, run.status !== "done");
    }
  }
  return { ...picture, isEmpty: !found.count };
}

/** The loss on a grid, row by row from below. */
function gridOf(first, second, x, y, count, base) {
  const vector = Float64Array.from(base);
  const values = new Array((count + 1) * (count + 1));
  for (let row = 0; row <= count; row++) {
    vector[second] = y.low + ((y.high - y.low) * row) / count;
    for (let column = 0; column <= count; column++) {
      vector[first] = x.low + ((x.high - x.low) * column) / count;
      values[row * (count + 1) + column] = valueAt(vector);
    }
  }
  return values;
}

/** Levels that lie closer together where the loss is small, so that a narrow valley shows as well as a bowl. */
function levelsOf({ count, least, few, middle, most }, bands = 13) {
  if (!count || !(most > least)) {
    return [];
  }
  const share = Math.min(0.9, Math.max(1e-6, (middle - least) / (most - least)));
  const power = Math.max(1, Math.log(share) / Math.log(0.5));
  const all = Array.from({ length: bands }, (_, k) => least + (most - least) * Math.pow((k + 1) / (bands + 1), power));
  return all.filter((level) => level >= few); // a grid cannot draw the bottom of a narrow valley
}

/** Fill the regions between levels, darker where the loss is larger; nothing where it is not finite. */
function paintBands(canvas, key, values, count, levels, box) {
  const style = getComputedStyle(document.documentElement);
  const [valley, peak] = ["--valley", "--peak"].map((name) => style.getPropertyValue(name).trim().split(" ").map(Number));
  Object.assign(canvas.style, {
    left: `${box.left}px`,
    top: `${box.top}px`,
    width: `${box.right - box.left}px`,
    height: `${box.bottom - box.top}px`,
  });
  const painted = `${key} ${valley}`;
  if (canvas.dataset.painted === painted) {
    return;
  }
  canvas.dataset.painted = painted;
  const side = 320;
  canvas.width = side;
  canvas.height = side;
  const context = canvas.getContext("2d");
  const image = context.createImageData(side, side);
  for (let row = 0; row < side; row++) {
    const v = (1 - (row + 0.5) / side) * count;
    const below = Math.min(count - 1, Math.floor(v));
    for (let column = 0; column < side; column++) {
      const u = ((column + 0.5) / side) * count;
      const before = Math.min(count - 1, Math.floor(u));
      const at = below * (count + 1) + before;
      const [p, q] = [u - before, v - below];
      const value =
        (values[at] * (1 - p) + values[at + 1] * p) * (1 - q) +
        (values[at + count + 1] * (1 - p) + values[at + count + 2] * p) * q;
      if (!Number.isFinite(value)) {
        continue;
      }
      let band = 0;
      while (band < levels.length && value > levels[band]) {
        band++;
      }
      const part = levels.length ? band / levels.length : 0;
      const pixel = 4 * (row * side + column);
      for (let channel = 0; channel < 3; channel++) {
        image.data[pixel + channel] = valley[channel] + (peak[channel] - valley[channel]) * part;
      }
      image.data[pixel + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
}

/** The lines of all levels through the cells of a grid, by marching squares: a path for each, in units of cells. */
function contours(values, count, levels) {
  const parts = levels.map(() => []);
  const width = count + 1;
  for (let row = 0; row < count; row++) {
    for (let column = 0; column < count; column++) {
      const at = row * width + column;
      const [a, b, c, d] = [values[at], values[at + 1], values[at + width + 1], values[at + width]];
      const [low, high] = [Math.min(a, b, c, d), Math.max(a, b, c, d)];
      if (!Number.isFinite(low) || !Number.isFinite(high)) {
        continue;
      }
      levels.forEach((level, place) => {
        if (level < low || level >= high) {
          return;
        }
        const crossed = [];
        const cross = (from, to, x, y, right, up) => {
          if (from > level !== to > level) {
            const part = (level - from) / (to - from);
            crossed.push(`${(x + right * part).toFixed(3)} ${(y + up * part).toFixed(3)}`);
          }
        };
        cross(a, b, column, row, 1, 0);
        cross(b, c, column + 1, row, 0, 1);
        cross(d, c, column, row + 1, 1, 0);
        cross(a, d, column, row, 0, 1);
        for (let k = 0; k + 1 < crossed.length; k += 2) {
          parts[place].push(`M${crossed[k]}L${crossed[k + 1]}`);
        }
      });
    }
  }
  return parts.map((part) => part.join(""));
}

/** An arrow from the current point against the gradient. */
function drawGradient(picture, run, now, first, second) {
  const record = run.records[now];
  if (!record) {
    return;
  }
  const [a, b] = [state.watched.indexOf(first), state.watched.indexOf(second)];
  const { theta, g } = record.before;
  const perX = picture.x(1) - picture.x(0);
  const perY = picture.y(1) - picture.y(0);
  const [dx, dy] = [-g[a] * perX, -g[b] * perY];
  const length = Math.hypot(dx, dy);
  if (!(length > 0) || !Number.isFinite(length)) {
    return;
  }
  const [x, y] = [picture.x(theta[a]), picture.y(theta[b])];
  const [u, v] = [dx / length, dy / length];
  const [tipX, tipY] = [x + 46 * u, y + 46 * v];
  const head = `M${tipX} ${tipY}L${tipX - 9 * u - 5 * v} ${tipY - 9 * v + 5 * u}M${tipX} ${tipY}L${tipX - 9 * u + 5 * v} ${tipY - 9 * v - 5 * u}`;
  shape("path", { class: "halo", d: `M${x} ${y}L${tipX} ${tipY}` }, picture.layer);
  shape("path", { class: "tangent", d: `M${x} ${y}L${tipX} ${tipY}${head}` }, picture.layer);
}
