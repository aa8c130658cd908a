// The loss on a flat vector of coordinates, and descents with everything that they compute on the way.

const size = model.size;
const point = new Float64Array(size);
const slope = new Float64Array(size);

/** A part of a flat vector in the shape of a parameter: arrays of rows, which share the vector's memory. */
function shaped(vector, offset, shape) {
  const [length, ...others] = shape;
  if (!others.length) {
    return vector.subarray(offset, offset + length);
  }
  const width = others.reduce((product, each) => product * each, 1);
  return Array.from({ length }, (_, row) => shaped(vector, offset + row * width, others));
}

/** Numbers that JSON cannot write come as texts. */
function read(value) {
  return Array.isArray(value) ? value.map(read) : Number(value);
}

const inputs = model.parameters.map(({ offset, shape }) => shape.length && shaped(point, offset, shape));
const outputs = model.parameters.filter(({ shape }) => shape.length).map((each) => shaped(slope, each.offset, each.shape));
const numeric = model.parameters.filter(({ shape }) => !shape.length);
const data = model.data.map(read);

/** The arguments of the loss at the point. */
function given() {
  return model.parameters.map(({ offset, shape }, place) => (shape.length ? inputs[place] : point[offset])).concat(data);
}

/** The loss at a vector. */
function valueAt(vector) {
  point.set(vector);
  return generated.value(...given());
}

/** The loss at a vector; its gradient is left in `slope`. */
function valueAndSlopeAt(vector) {
  point.set(vector);
  const results = generated.value_and_gradient(...given(), ...outputs);
  if (!numeric.length) {
    return results;
  }
  numeric.forEach(({ offset }, place) => {
    slope[offset] = results[place + 1];
  });
  return results[0];
}

/** The largest size among some numbers; NaN if one is none. */
function largest(numbers) {
  let found = 0;
  for (const each of numbers) {
    found = Math.abs(each) > found || Number.isNaN(each) ? Math.abs(each) : found;
  }
  return found;
}

/**
 * Descend by a rule with its settings, and keep the path.
 *
 * `watched` are the coordinates whose numbers are kept for each step. The status is "done", "not finite", "diverged" or
 * "fell"; in the last two the loss left 10^10 times its first size, as in compiled descents.
 */
function descend(place, settings, start, steps, watched) {
  const rule = model.rules[place];
  const chosen = {};
  rule.settings.forEach(({ name, identifier }) => {
    chosen[identifier] = settings[name];
  });
  const step = generated.steps[place](chosen);
  const pick = (array) => watched.map((coordinate) => array[coordinate]);
  const theta = Float64Array.from(start);
  const states = rule.states.map((initial) => new Float64Array(size).fill(Number(initial)));
  const notes = Array.from({ length: rule.notes }, () => new Float64Array(size));
  let shared = rule.shared.map(Number);
  const run = { path: [], losses: [], slopes: [], records: [], status: "done" };
  let limit = Infinity;
  for (let t = 1; ; t++) {
    const loss = valueAndSlopeAt(theta);
    run.path.push(theta.slice());
    run.losses.push(loss);
    run.slopes.push(largest(slope));
    if (t === 1) {
      limit = Math.min(1e10 * (1 + Math.abs(loss)), Number.MAX_VALUE);
    }
    if (!Number.isFinite(loss) || !Number.isFinite(run.slopes[t - 1])) {
      run.status = "not finite";
      return run;
    }
    if (Math.abs(loss) > limit) {
      run.status = loss > 0 ? "diverged" : "fell";
      return run;
    }
    const gradient = slope.slice();
    const before = { theta: pick(theta), g: pick(gradient), states: states.map(pick), shared, loss, t, settings };
    if (t > steps) {
      run.records.push({ before, after: null });
      return run;
    }
    const results = step(theta, gradient, ...states, ...notes, ...shared, size, t, loss);
    shared = results.slice(0, shared.length);
    const made = results.slice(shared.length);
    const after = { theta: pick(theta), states: states.map(pick), shared, notes: notes.map(pick), made };
    run.records.push({ before, after });
  }
}

/** The number at a place of an equation, for one of the watched coordinates. */
function numberAt([kind, which, isNew], { before, after }, coordinate) {
  switch (kind) {
    case "theta":
      return (which ? after : before).theta[coordinate];
    case "g":
      return before.g[coordinate];
    case "state":
      return (isNew ? after : before).states[which][coordinate];
    case "shared":
      return (isNew ? after : before).shared[which];
    case "note":
      return after.notes[which][coordinate];
    case "made":
      return after.made[which];
    case "root":
      return Math.sqrt(after.made[which]);
    case "setting":
      return before.settings[which];
    case "loss":
      return before.loss;
    case "t":
      return before.t;
    case "k":
      return before.t - 1;
    default:
      return 1; // the number of steps in an epoch: every step reads all samples
  }
}
