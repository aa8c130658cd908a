"""Trajectories of other libraries' optimizers on three losses: the numbers that test_trajectories compares with.

``python tests/data/make_trajectories.py torch`` (or ``optax``, ``keras``; needs that library, Keras with JAX) writes
``trajectories_torch.json``: float64, 200 steps, every tenth position.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

STEPS, EVERY = 200, 10
STARTS = {"parabola": [0.0], "rosenbrock": [-1.2, 1.0], "saddle": [0.5, 2.0]}


def losses(log, exp, cos):
    return {
        "parabola": lambda p: (p[0] - 3) ** 2,
        "rosenbrock": lambda p: (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2,
        "saddle": lambda p: log(1 + exp(p[0])) + p[0] ** 2 / 8 + cos(p[1]) * p[0],
    }


def with_torch():
    import torch

    torch.set_default_dtype(torch.float64)  # NAdam keeps its product of momenta in the default type
    optim, clip = torch.optim, torch.nn.utils
    rules = {
        "GradientDescent": (optim.SGD, {"lr": 0.001}),
        "Momentum": (optim.SGD, {"lr": 0.0005, "momentum": 0.9}),
        "Nesterov": (optim.SGD, {"lr": 0.0005, "momentum": 0.9, "nesterov": True}),
        "AdaGrad": (optim.Adagrad, {"lr": 0.1}),
        "AdaDelta": (optim.Adadelta, {"lr": 1.0}),
        "RMSprop": (optim.RMSprop, {"lr": 0.01}),
        "RMSprop centered": (optim.RMSprop, {"lr": 0.01, "centered": True}),
        "RMSprop momentum": (optim.RMSprop, {"lr": 0.001, "momentum": 0.9}),
        "Adam": (optim.Adam, {"lr": 0.05}),
        "Adam amsgrad": (optim.Adam, {"lr": 0.05, "amsgrad": True}),
        "NAdam": (optim.NAdam, {"lr": 0.05}),
        "AdamW": (optim.AdamW, {"lr": 0.05, "weight_decay": 0.1}),
        "Momentum weight_decay": (optim.SGD, {"lr": 0.0005, "momentum": 0.9, "weight_decay": 0.1}),
        "Adam weight_decay": (optim.Adam, {"lr": 0.05, "weight_decay": 0.1}),
        "RMSprop weight_decay": (optim.RMSprop, {"lr": 0.01, "weight_decay": 0.1}),
        "GradientDescent clip_value": (optim.SGD, {"lr": 0.05}),
        "Adam exponential": (optim.Adam, {"lr": 0.05}),
        "Momentum step": (optim.SGD, {"lr": 0.0005, "momentum": 0.9}),
        "GradientDescent plateau": (optim.SGD, {"lr": 0.004}),
    }

    def trajectory(rule, function, start):
        make, options = rules[rule]
        p = torch.tensor(start, requires_grad=True)
        optimizer = make([p], **options)
        schedule = {
            "Adam exponential": lambda: optim.lr_scheduler.ExponentialLR(optimizer, 0.99),
            "Momentum step": lambda: optim.lr_scheduler.StepLR(optimizer, 30, 0.5),
            "GradientDescent plateau": lambda: optim.lr_scheduler.ReduceLROnPlateau(
                optimizer, factor=0.95, patience=2, threshold=0.0, threshold_mode="abs", eps=0.0
            ),
        }.get(rule, lambda: None)()
        path = [p.tolist()]
        for step in range(1, STEPS + 1):
            optimizer.zero_grad()
            value = function(p)
            value.backward()
            if rule == "GradientDescent clip_value":
                clip.clip_grad_value_([p], 0.5)
            if rule == "GradientDescent plateau":  # the rate of a step knows the loss before it
                schedule.step(value.item())
            optimizer.step()
            if schedule is not None and rule != "GradientDescent plateau":
                schedule.step()
            if step % EVERY == 0:
                path.append(p.tolist())
        return path

    return torch.__version__.split("+")[0], rules, losses(torch.log, torch.exp, torch.cos), trajectory


def with_optax():
    import jax
    import jax.numpy as jnp
    import optax

    jax.config.update("jax_enable_x64", True)
    rules = {
        "Momentum": optax.sgd(0.0005, momentum=0.9),
        "Nesterov": optax.sgd(0.0005, momentum=0.9, nesterov=True),
        "AdaGrad": optax.adagrad(0.1),
        "AdaDelta": optax.adadelta(1.0),
        "RMSprop": optax.rmsprop(0.002),
        "RMSprop centered": optax.rmsprop(0.01, centered=True),
        "RMSprop momentum": optax.rmsprop(0.001, momentum=0.9),
        "Adam": optax.adam(0.05),
        "Adam amsgrad": optax.amsgrad(0.05),
        "NAdam": optax.nadam(0.05),
        "AdamW": optax.adamw(0.05),
        "Lion": optax.lion(0.01, weight_decay=0.1),
        "Adam clip_norm": optax.chain(optax.clip_by_global_norm(0.5), optax.adam(0.01)),
        "GradientDescent clip_norm": optax.chain(optax.clip_by_global_norm(0.5), optax.sgd(0.05)),
        "Adam cosine": optax.adam(optax.cosine_decay_schedule(0.05, 150)),
    }

    def trajectory(rule, function, start):
        optimizer, p = rules[rule], jnp.array(start)
        state, gradient = optimizer.init(p), jax.jit(jax.grad(function))
        path = [p.tolist()]
        for step in range(1, STEPS + 1):
            updates, state = optimizer.update(gradient(p), state, p)
            p = optax.apply_updates(p, updates)
            if step % EVERY == 0:
                path.append(p.tolist())
        return path

    return optax.__version__, rules, losses(jnp.log, jnp.exp, jnp.cos), trajectory


def with_keras():
    os.environ["KERAS_BACKEND"] = "jax"
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    import keras
    from keras import optimizers as o

    keras.backend.set_floatx("float64")
    rules = {
        "Momentum": lambda: o.SGD(0.0005, momentum=0.9),
        "Nesterov": lambda: o.SGD(0.0005, momentum=0.9, nesterov=True),
        "AdaGrad": lambda: o.Adagrad(0.1),
        "AdaDelta": lambda: o.Adadelta(1.0),
        "RMSprop": lambda: o.RMSprop(0.002),
        "RMSprop centered": lambda: o.RMSprop(0.01, centered=True),
        "RMSprop momentum": lambda: o.RMSprop(0.001, momentum=0.9),
        "Adam": lambda: o.Adam(0.05),
        "Adam amsgrad": lambda: o.Adam(0.05, amsgrad=True),
        "NAdam": lambda: o.Nadam(0.05),
        "AdamW": lambda: o.AdamW(0.05),
        "Lion": lambda: o.Lion(0.01),
    }

    def trajectory(rule, function, start):
        optimizer, p = rules[rule](), keras.Variable(jnp.array(start), dtype="float64")
        gradient = jax.jit(jax.grad(function))
        path = [p.value.tolist()]
        for step in range(1, STEPS + 1):
            optimizer.apply([gradient(p.value)], [p])
            if step % EVERY == 0:
                path.append(p.value.tolist())
        return path

    return keras.__version__, rules, losses(jnp.log, jnp.exp, jnp.cos), trajectory


if __name__ == "__main__":
    for library in sys.argv[1:]:
        version, rules, functions, trajectory = {"torch": with_torch, "optax": with_optax, "keras": with_keras}[
            library
        ]()
        found = {rule: {name: trajectory(rule, f, STARTS[name]) for name, f in functions.items()} for rule in rules}
        described = {library: version, "steps": STEPS, "every": EVERY, "trajectories": found}
        target = Path(__file__).with_name(f"trajectories_{library}.json")
        target.write_text(json.dumps(described, indent=0) + "\n", encoding="utf-8")
