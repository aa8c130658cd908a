/* The loops that one writes by hand: what the generated kernels are measured against.

   One thread; sums in double whatever the type of the data; `omp simd` lets the compiler reorder the sums it names.
   A function fills the gradient that it is given and returns the loss, or descends in place and returns the steps. */

#include <math.h>
#include <stdint.h>

/* -- chained Rosenbrock: sum of 100 (x[i+1] - x[i]^2)^2 + (1 - x[i])^2 ------------------------------------------- */

double rosenbrock(const double *restrict x, int64_t n, double *restrict g) {
  double loss = 0.0;
  g[0] = 0.0;
  for (int64_t i = 0; i < n - 1; i++) {
    double one = 1.0 - x[i], t = x[i + 1] - x[i] * x[i];
    loss += one * one + 100.0 * t * t;
    g[i] -= 400.0 * x[i] * t + 2.0 * one;
    g[i + 1] = 200.0 * t;
  }
  return loss;
}

/* The same gathered by entry: each residual is computed twice, and every entry is written once. */
double rosenbrock_gathered(const double *restrict x, int64_t n, double *restrict g) {
  double first = 1.0 - x[0], t = x[1] - x[0] * x[0], loss = first * first + 100.0 * t * t;
  g[0] = -400.0 * x[0] * t - 2.0 * first;
#pragma omp simd reduction(+ : loss)
  for (int64_t i = 1; i < n - 1; i++) {
    double one = 1.0 - x[i], before = x[i] - x[i - 1] * x[i - 1], after = x[i + 1] - x[i] * x[i];
    loss += one * one + 100.0 * after * after;
    g[i] = 200.0 * before - 400.0 * x[i] * after - 2.0 * one;
  }
  g[n - 1] = 200.0 * (x[n - 1] - x[n - 2] * x[n - 2]);
  return loss;
}

/* -- gradient descent on Rosenbrock's function of two variables -------------------------------------------------- */

double descend_bare(double *place, double rate, int64_t steps) {
  double x = place[0], y = place[1];
  for (int64_t step = 0; step < steps; step++) {
    double one = 1.0 - x, t = y - x * x;
    x += rate * (400.0 * x * t + 2.0 * one);
    y -= rate * 200.0 * t;
  }
  place[0] = x;
  place[1] = y;
  return steps;
}

static inline double larger(double a, double b) { return a >= b || a != a ? a : b; }

double descend_tested(double *place, double rate, int64_t steps, double gtol, double xtol, double ftol, double limit) {
  double x = place[0], y = place[1], previous = NAN;
  int64_t step = 0;
  while (step < steps) {
    double one = 1.0 - x, t = y - x * x;
    double gx = -400.0 * x * t - 2.0 * one, gy = 200.0 * t;
    double loss = one * one + 100.0 * t * t, norm = larger(fabs(gx), fabs(gy));
    if (!(fabs(loss) <= limit) || !(norm < INFINITY) || norm <= gtol || fabs(previous - loss) <= ftol)
      break;
    previous = loss;
    step++;
    double x_before = x, y_before = y;
    x -= rate * gx;
    y -= rate * gy;
    if (larger(fabs(x - x_before), fabs(y - y_before)) <= xtol)
      break;
  }
  place[0] = x;
  place[1] = y;
  return step;
}

/* -- Adam on the same ----------------------------------------------------------------------------------------- */

double adam_bare(double *place, double rate, double beta1, double beta2, double epsilon, int64_t steps) {
  double x = place[0], y = place[1], mx = 0.0, my = 0.0, vx = 0.0, vy = 0.0, p1 = 1.0, p2 = 1.0;
  for (int64_t step = 0; step < steps; step++) {
    double one = 1.0 - x, t = y - x * x;
    double gx = -400.0 * x * t - 2.0 * one, gy = 200.0 * t;
    p1 = p1 < 1e-300 ? 0.0 : beta1 * p1; /* denormal numbers are slow */
    p2 = p2 < 1e-300 ? 0.0 : beta2 * p2;
    mx = beta1 * mx + (1.0 - beta1) * gx;
    my = beta1 * my + (1.0 - beta1) * gy;
    vx = beta2 * vx + (1.0 - beta2) * gx * gx;
    vy = beta2 * vy + (1.0 - beta2) * gy * gy;
    x -= rate * (mx / (1.0 - p1)) / (sqrt(vx / (1.0 - p2)) + epsilon);
    y -= rate * (my / (1.0 - p1)) / (sqrt(vy / (1.0 - p2)) + epsilon);
  }
  place[0] = x;
  place[1] = y;
  return steps;
}

/* -- an epoch of stochastic descent on logistic regression, in a given order -------------------------------------- */

double sgd_logistic(const double *X, const double *y, const int64_t *order, double *w, int64_t n, int64_t d, double rate) {
  double total = 0.0;
  for (int64_t k = 0; k < n; k++) {
    const double *x = X + order[k] * d;
    double s = 0.0;
#pragma omp simd reduction(+ : s)
    for (int64_t j = 0; j < d; j++) s += w[j] * x[j];
    double z = y[order[k]] * s, e = exp(-fabs(z));
    total += log1p(e) + (z > 0.0 ? 0.0 : -z);
    double step = rate * y[order[k]] * (z >= 0.0 ? e : 1.0) / (1.0 + e);
#pragma omp simd
    for (int64_t j = 0; j < d; j++) w[j] += step * x[j];
  }
  return total;
}

/* -- models over samples, for data of either type ---------------------------------------------------------------- */

#define MODELS(type, suffix)                                                                                           \
  double read_##suffix(const type *X, int64_t size) {                                                                  \
    double total = 0.0;                                                                                                \
    _Pragma("omp simd reduction(+ : total)") for (int64_t q = 0; q < size; q++) total += X[q];                         \
    return total;                                                                                                      \
  }                                                                                                                    \
                                                                                                                       \
  static inline double score_##suffix(const type *restrict row, const double *restrict w, int64_t d) {                 \
    double s = 0.0;                                                                                                    \
    _Pragma("omp simd reduction(+ : s)") for (int64_t j = 0; j < d; j++) s += row[j] * w[j];                           \
    return s;                                                                                                          \
  }                                                                                                                    \
                                                                                                                       \
  /* mean of log(1 + exp(-y (X w + b))); g holds the gradient by w, then by b */                                       \
  double logistic_##suffix(const type *restrict X, const type *restrict y, const double *restrict w, int64_t n,        \
                           int64_t d, double *restrict g) {                                                            \
    double loss = 0.0, by_offset = 0.0, share = 1.0 / n;                                                               \
    for (int64_t j = 0; j < d; j++)                                                                                    \
      g[j] = 0.0;                                                                                                      \
    for (int64_t i = 0; i < n; i++) {                                                                                  \
      const type *row = X + i * d;                                                                                     \
      double margin = y[i] * (score_##suffix(row, w, d) + w[d]), e = exp(-fabs(margin));                               \
      loss += log1p(e) + (margin < 0.0 ? -margin : 0.0);                                                               \
      double r = -y[i] * share * (margin < 0.0 ? 1.0 : e) / (1.0 + e);                                                 \
      by_offset += r;                                                                                                  \
      for (int64_t j = 0; j < d; j++)                                                                                  \
        g[j] += r * row[j];                                                                                            \
    }                                                                                                                  \
    g[d] = by_offset;                                                                                                  \
    return loss / n;                                                                                                   \
  }

MODELS(double, double)
MODELS(float, float)

/* full-batch descent of mean (X w - y)^2 */
double least_squares(const double *restrict X, const double *restrict y, double *restrict w, int64_t n, int64_t d,
                     double rate, int64_t steps, double *restrict g) {
  for (int64_t step = 0; step < steps; step++) {
    for (int64_t j = 0; j < d; j++)
      g[j] = 0.0;
    for (int64_t i = 0; i < n; i++) {
      const double *row = X + i * d;
      double r = 2.0 / n * (score_double(row, w, d) - y[i]);
      for (int64_t j = 0; j < d; j++)
        g[j] += r * row[j];
    }
    for (int64_t j = 0; j < d; j++)
      w[j] -= rate * g[j];
  }
  return steps;
}

/* -- models with inner dimensions that the compiler knows -------------------------------------------------------- */

enum { CLASSES = 10, UNITS = 32 };

/* mean cross-entropy of softmax(X W + B); W and g hold W (d rows), then B */
double softmax(const double *restrict X, const int64_t *restrict c, const double *restrict W, int64_t n, int64_t d,
               double *restrict g) {
  double loss = 0.0;
  for (int64_t q = 0; q < (d + 1) * CLASSES; q++)
    g[q] = 0.0;
  for (int64_t i = 0; i < n; i++) {
    const double *row = X + i * d;
    double z[CLASSES];
    for (int k = 0; k < CLASSES; k++)
      z[k] = W[d * CLASSES + k];
    for (int64_t j = 0; j < d; j++)
      for (int k = 0; k < CLASSES; k++)
        z[k] += row[j] * W[j * CLASSES + k];
    double largest = z[0], total = 0.0, of_class = z[c[i]];
    for (int k = 1; k < CLASSES; k++)
      largest = z[k] > largest ? z[k] : largest;
    for (int k = 0; k < CLASSES; k++)
      total += z[k] = exp(z[k] - largest);
    loss += log(total) + largest - of_class;
    for (int k = 0; k < CLASSES; k++) {
      z[k] = (z[k] / total - (k == c[i])) / n;
      g[d * CLASSES + k] += z[k];
    }
    for (int64_t j = 0; j < d; j++)
      for (int k = 0; k < CLASSES; k++)
        g[j * CLASSES + k] += row[j] * z[k];
  }
  return loss / n;
}

/* mean of (u . tanh(X V + a) + b - y)^2; theta and g hold V (d rows), a, u, b */
double hidden(const double *restrict X, const double *restrict y, const double *restrict theta, int64_t n, int64_t d,
              double *restrict g) {
  const double *V = theta, *a = V + d * UNITS, *u = a + UNITS, *b = u + UNITS;
  double *by_a = g + d * UNITS, *by_u = by_a + UNITS, *by_b = by_u + UNITS, loss = 0.0;
  for (int64_t q = 0; q < (d + 2) * UNITS + 1; q++)
    g[q] = 0.0;
  for (int64_t i = 0; i < n; i++) {
    const double *row = X + i * d;
    double t[UNITS], r = *b - y[i];
    for (int k = 0; k < UNITS; k++)
      t[k] = a[k];
    for (int64_t j = 0; j < d; j++)
      for (int k = 0; k < UNITS; k++)
        t[k] += row[j] * V[j * UNITS + k];
    for (int k = 0; k < UNITS; k++)
      r += u[k] * (t[k] = tanh(t[k]));
    loss += r * r;
    r *= 2.0 / n;
    *by_b += r;
    for (int k = 0; k < UNITS; k++) {
      by_u[k] += r * t[k];
      t[k] = r * u[k] * (1.0 - t[k] * t[k]);
      by_a[k] += t[k];
    }
    for (int64_t j = 0; j < d; j++)
      for (int k = 0; k < UNITS; k++)
        g[j * UNITS + k] += row[j] * t[k];
  }
  return loss / n;
}
