"""An optimizer that no library has, in a few lines: its equations, a worked table, a fast descent, a program in C.

Momentum whose step is normed: the velocity gives the direction, a schedule the length.
"""

import sympy as sp

import symdescent as sd
from symdescent.optimizers import Norm, eta, g, theta

# State the rule: v' = μ v + g, θ' = θ - η v'/(‖v'‖ + ε).
v, mu, epsilon = sp.symbols("v mu epsilon", real=True)
rule = sd.UpdateRule(
    name="normed momentum",
    assignments=[(v, mu * v + g), (theta, theta - eta * v / (Norm(v) + epsilon))],
    hyperparameters=[
        sd.Hyperparameter("learning_rate", eta, sd.schedules.cosine(0.1, steps=2000)),
        sd.Hyperparameter("momentum", mu, 0.9),
        sd.Hyperparameter("epsilon", epsilon, 1e-12),
    ],
    state=[sd.State(v)],
)
print(rule)
print(rule.latex())

# Descend Rosenbrock's function, beside two well-known rules.
x, y = sp.symbols("x y")
rosenbrock = sd.Loss((1 - x) ** 2 + 100 * (y - x**2) ** 2, [x, y])
start = {"x": -1.2, "y": 1.0}
for optimizer in (rule, sd.GradientDescent(1e-3), sd.Adam(sd.schedules.cosine(0.1, steps=2000))):
    result = rosenbrock.descend(start, optimizer=optimizer, steps=2000)
    print(f"{optimizer.name:18} x = {result.params['x']:.6f}, y = {result.params['y']:.6f}, loss {result.fun:.3g}")

# The first steps with the numbers filled in, and the program to take along.
print(rule.derivation_table(rosenbrock, start, steps=1))
program = rosenbrock.code("c", rule)
print(program[program.index("/* One step") : program.index("/* Descend")])
