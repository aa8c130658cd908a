"""Trajectories of PyTorch's optimizers on three losses, as trajectories.json: the numbers that test_trajectories compares with.

``python tests/data/make_trajectories.py`` (needs torch); float64, 200 steps, every tenth position.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

STEPS, EVERY = 200, 10
LOSSES = {
    "parabola": (lambda p: (p[0] - 3) ** 2, [0.0]),
    "rosenbrock": (lambda p: (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2, [-1.2, 1.0]),
    "saddle": (lambda p: torch.log(1 + torch.exp(p[0])) + p[0] ** 2 / 8 + torch.cos(p[1]) * p[0], [0.5, 2.0]),
}
RULES = {
    "GradientDescent": (torch.optim.SGD, {"lr": 0.001}),
    "Momentum": (torch.optim.SGD, {"lr": 0.0005, "momentum": 0.9}),
    "Nesterov": (torch.optim.SGD, {"lr": 0.0005, "momentum": 0.9, "nesterov": True}),
    "AdaGrad": (torch.optim.Adagrad, {"lr": 0.1}),
    "AdaDelta": (torch.optim.Adadelta, {"lr": 1.0}),
    "RMSprop": (torch.optim.RMSprop, {"lr": 0.01}),
    "RMSprop centered": (torch.optim.RMSprop, {"lr": 0.01, "centered": True}),
    "RMSprop momentum": (torch.optim.RMSprop, {"lr": 0.001, "momentum": 0.9}),
    "Adam": (torch.optim.Adam, {"lr": 0.05}),
    "Adam amsgrad": (torch.optim.Adam, {"lr": 0.05, "amsgrad": True}),
    "NAdam": (torch.optim.NAdam, {"lr": 0.05}),
    "AdamW": (torch.optim.AdamW, {"lr": 0.05, "weight_decay": 0.1}),
}


def trajectory(rule: str, loss: str) -> list[list[float]]:
    make, options = RULES[rule]
    function, start = LOSSES[loss]
    p = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    optimizer = make([p], **options)
    path = [p.tolist()]
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        function(p).backward()
        optimizer.step()
        if step % EVERY == 0:
            path.append(p.tolist())
    return path


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)  # NAdam keeps its product of momenta in the default type
    found = {rule: {loss: trajectory(rule, loss) for loss in LOSSES} for rule in RULES}
    described = {"torch": torch.__version__.split("+")[0], "steps": STEPS, "every": EVERY, "trajectories": found}
    Path(__file__).with_name("trajectories.json").write_text(json.dumps(described, indent=0) + "\n", encoding="utf-8")
