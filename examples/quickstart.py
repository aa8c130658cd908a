"""The main job on real data: a line through Ezekiel's 1930 stopping distances, by gradient descent.

State the loss, read its gradient, check it, compile it, descend, and compare with the closed form.
"""

from pathlib import Path

import numpy as np
import sympy as sp

import symdescent as sd

speed, distance = np.loadtxt(Path(__file__).parent / "data" / "cars.csv", delimiter=",", skiprows=1, unpack=True)

# State: the squared error of a line, the mean over the samples (x, y).
a, b, x, y = sp.symbols("a b x y", real=True)
loss = sd.Loss((y - (a + b * x)) ** 2, [a, b], samples=[x, y])
print("loss      mean over the samples of", loss.expression)

# Derive.
for parameter, derivative in loss.gradient.items():
    print(f"gradient  dL/d{parameter} = {derivative}")
print("hessian  ", loss.hessian.tolist())

# Check: symbolic against differences, complex step and dual numbers, at the data.
data = {"x": speed, "y": distance}
print("\ncheck at a = 1, b = 2")
print(loss.check(at={"a": 1.0, "b": 2.0}, data=data))

# ... and grade a gradient derived by hand, which forgot the inner derivative of the square.
print("\na gradient by hand, (y - a - b x) x:", loss.check(candidate={b: (y - a - b * x) * x}).grades["b"])

# Compile: value and gradient in one pass.
compiled = loss.compile()
print("\ngenerated source\n" + compiled.source)
value, gradient = compiled.value_and_gradient({"a": 1.0, "b": 2.0}, data)
print(f"at a = 1, b = 2: loss {value:.4f}, gradient {gradient}")

# Descend.
result = loss.descend({"a": 0.0, "b": 0.0}, data, sd.Momentum(0.003, momentum=0.99), steps=20_000, gtol=1e-9)
print("\n" + repr(result))

slope, intercept = np.polyfit(speed, distance, 1)
print(f"\ndescent      distance = {result.params['a']:.4f} + {result.params['b']:.4f} speed")
print(f"closed form  distance = {intercept:.4f} + {slope:.4f} speed")
assert abs(result.params["a"] - intercept) < 1e-6 and abs(result.params["b"] - slope) < 1e-6
