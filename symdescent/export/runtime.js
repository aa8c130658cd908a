/** x squared. */
function square(x) {
  return x * x;
}

/** x cubed. */
function cube(x) {
  return x * x * x;
}

/** The remainder with the sign of the divisor. */
function remainder_of(a, b) {
  const r = a % b;
  return r !== 0 && r < 0 !== b < 0 ? r + b : r;
}

/** An array of zeros, nested for several lengths. */
function zeros(length, ...others) {
  return others.length ? Array.from({ length }, () => zeros(...others)) : new Float64Array(length);
}

/** Zeros in the form of nested arrays. */
function zeros_like(a) {
  return typeof a[0] === "object" ? Array.from(a, zeros_like) : new Float64Array(a.length);
}

/** Put a number into every place of nested arrays. */
function fill(a, value) {
  for (let k = 0; k < a.length; k++) {
    if (typeof a[k] === "object") {
      fill(a[k], value);
    } else {
      a[k] = value;
    }
  }
}

/** c[0] + c[1] x + c[2] x^2 + ... */
function polynomial(c, x) {
  let sum = 0;
  for (let k = c.length - 1; k >= 0; k--) {
    sum = sum * x + c[k];
  }
  return sum;
}

/** exp(-x^2) without the error of squaring: the leading digits of x have an exact square. */
function exp_minus_square(x) {
  const head = Math.trunc(x * 16) / 16;
  return Math.exp(-head * head) * Math.exp(-(x - head) * (x + head));
}

/** The error function for |x| < 0.5 (W. J. Cody, Rational Chebyshev approximations for the error function, 1969). */
function small_error_function(x) {
  const above = [
    3209.37758913846947, 377.485237685302021, 113.864154151050156, 3.16112374387056560, 0.185777706184603153
  ];
  const below = [2844.23683343917062, 1282.61652607737228, 244.024637934444173, 23.6012909523441209, 1];
  return (x * polynomial(above, x * x)) / polynomial(below, x * x);
}

/** 1 - erf(x) for x >= 0.46875, without cancellation (same source). */
function large_error_function(x) {
  if (x > 4) {
    const above = [
      -6.58749161529837803e-4, -1.60837851487422766e-2, -1.25781726111229246e-1, -3.60344899949804439e-1,
      -3.05326634961232344e-1, -1.63153871373020978e-2
    ];
    const below = [
      2.33520497626869185e-3, 6.05183413124413191e-2, 5.27905102951428412e-1, 1.87295284992346725, 2.56852019228982242,
      1
    ];
    const z = 1 / (x * x);
    const quotient = (z * polynomial(above, z)) / polynomial(below, z);
    return x > 27 ? 0 : (exp_minus_square(x) * (0.5641895835477563 + quotient)) / x;
  }
  const above = [
    1230.33935479799725, 2051.07837782607147, 1712.04761263407058, 881.952221241769090, 298.635138197400131,
    66.1191906371416295, 8.88314979438837594, 5.64188496988670089e-1, 2.15311535474403846e-8
  ];
  const below = [
    1230.33935480374942, 3439.36767414372164, 4362.61909014324716, 3290.79923573345963, 1621.38957456669019,
    537.181101862009858, 117.693950891312499, 15.7449261107098347, 1
  ];
  return (exp_minus_square(x) * polynomial(above, x)) / polynomial(below, x);
}

/** The error function. */
function error_function(x) {
  const size = Math.abs(x);
  if (size <= 0.46875) {
    return small_error_function(x);
  }
  return size > 6 ? Math.sign(x) : Math.sign(x) * (0.5 - large_error_function(size) + 0.5);
}

/** 1 - erf(x). */
function complementary_error_function(x) {
  const size = Math.abs(x);
  if (size <= 0.46875) {
    return 1 - small_error_function(x);
  }
  return x > 0 ? large_error_function(size) : x < -6 ? 2 : 2 - large_error_function(size);
}

/** log gamma(2 + z) for |z| <= 0.5: the series with (-1)^k (zeta(k) - 1)/k. */
function log_gamma_at_two(z) {
  const coefficients = [
    0.3224670334241132, -0.0673523010531981, 0.020580808427784546, -0.007385551028673986, 0.0028905103307415234,
    -0.001192753911703261, 0.0005096695247430425, -0.00022315475845357939, 9.945751278180853e-05,
    -4.492623673813314e-05, 2.050721277567069e-05, -9.439488275268397e-06, 4.374866789907488e-06,
    -2.039215753801366e-06, 9.55141213040742e-07, -4.492469198764566e-07, 2.1207184805554665e-07,
    -1.0043224823968099e-07, 4.7698101693639804e-08, -2.2711094608943164e-08, 1.0838659214896955e-08,
    -5.183475041970047e-09, 2.4836745438024785e-09, -1.1921401405860912e-09, 5.731367241678862e-10,
    -2.7595228851242334e-10, 1.330476437424449e-10, -6.4229645638381e-11, 3.1044247747322276e-11,
    -1.5021384080754142e-11
  ];
  return z * (0.4227843350984671 + z * polynomial(coefficients, z));
}

/** What Stirling's formula lacks: log gamma(x) - (x - 1/2) log(x) + x - log(2 pi)/2, for x >= 15. */
function stirling_remainder(x) {
  const coefficients = [
    0.08333333333333333, -0.002777777777777778, 0.0007936507936507937, -0.0005952380952380953,
    0.0008417508417508417, -0.0019175269175269176, 0.00641025641025641, -0.029550653594771242
  ];
  return polynomial(coefficients, 1 / (x * x)) / x;
}

/** The logarithm of |gamma(x)|: series around 2, recurrence up to 15, Stirling's formula above. */
function log_gamma(x) {
  if (x <= 0 && x === Math.floor(x)) {
    return Infinity;
  }
  if (x < 0) {
    return Math.log(Math.PI / Math.abs(x * sine_of_pi(x))) - log_gamma(-x);
  }
  if (x < 0.5) {
    return log_gamma_at_two(x) - Math.log1p(x) - Math.log(x);
  }
  if (x < 1.5) {
    return log_gamma_at_two(x - 1) - Math.log1p(x - 1);
  }
  if (x < 15) {
    let product = 1;
    while (x > 2.5) {
      x -= 1;
      product *= x;
    }
    return log_gamma_at_two(x - 2) + Math.log(product);
  }
  return x === Infinity ? x : (x - 0.5) * (Math.log(x) - 1) + (0.4189385332046727 + stirling_remainder(x));
}

/** sin(pi x), exact where x is a multiple of 1/2. */
function sine_of_pi(x) {
  const r = x - 2 * Math.round(x / 2);
  return Math.abs(r) > 0.5 ? Math.sin(Math.PI * (Math.sign(r) - r)) : Math.sin(Math.PI * r);
}

/** The gamma function. */
function gamma_function(x) {
  if (x <= 0) {
    if (x === Math.floor(x)) {
      return x === 0 ? 1 / x : NaN;
    }
    return x < -184 ? 0 : -Math.PI / (x * sine_of_pi(x)) / gamma_function(-x);
  }
  if (x < 23.5) {
    let product = 1;
    while (x > 2.5) {
      x -= 1;
      product *= x;
    }
    let divisor = 1;
    while (x < 1.5) {
      divisor *= x;
      x += 1;
    }
    return (product * Math.exp(log_gamma_at_two(x - 2))) / divisor;
  }
  const half = Math.pow(x, x / 2 - 0.25);
  return x > 171.7 ? Infinity : half * Math.exp(-x) * half * (2.5066282746310002 * Math.exp(stirling_remainder(x)));
}
