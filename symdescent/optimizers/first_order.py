r"""The family of first-order optimizers: one record each.

The forms and defaults are PyTorch's; ``flavor="keras"`` and ``flavor="optax"`` take those of Keras 3 and of Optax,
where they differ in the place of ε, in the start of an accumulator or in the correction for the start at zero.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sympy as sp

from symdescent.errors import StatementError
from symdescent.optimizers.rule import Hyperparameter, State, UpdateRule
from symdescent.optimizers.symbols import FRACTION, NOT_NEGATIVE, POSITIVE, eta, g, t, theta

FLAVORS = ("torch", "keras", "optax")
# what is not given is taken from here; Optax has no default learning rates and gets PyTorch's
DEFAULTS: dict[str, tuple[dict[str, float], dict[str, float], dict[str, float]]] = {
    "AdaGrad": (
        {"learning_rate": 0.01, "epsilon": 1e-10, "initial_accumulator": 0.0},
        {"learning_rate": 0.001, "epsilon": 1e-7, "initial_accumulator": 0.1},
        {"learning_rate": 0.01, "epsilon": 1e-7, "initial_accumulator": 0.1},
    ),
    "AdaDelta": (
        {"learning_rate": 1.0, "rho": 0.9, "epsilon": 1e-6},
        {"learning_rate": 0.001, "rho": 0.95, "epsilon": 1e-7},
        {"learning_rate": 1.0, "rho": 0.9, "epsilon": 1e-6},
    ),
    "RMSprop": (
        {"learning_rate": 0.01, "rho": 0.99, "epsilon": 1e-8},
        {"learning_rate": 0.001, "rho": 0.9, "epsilon": 1e-7},
        {"learning_rate": 0.01, "rho": 0.9, "epsilon": 1e-8},
    ),
    "Adam": ({"epsilon": 1e-8}, {"epsilon": 1e-7}, {"epsilon": 1e-8}),
    "AdamW": (
        {"epsilon": 1e-8, "weight_decay": 1e-2},
        {"epsilon": 1e-7, "weight_decay": 4e-3},
        {"epsilon": 1e-8, "weight_decay": 1e-4},
    ),
    "NAdam": (
        {"learning_rate": 2e-3, "epsilon": 1e-8, "momentum_decay": 4e-3},
        {"learning_rate": 1e-3, "epsilon": 1e-7, "momentum_decay": 1.0},
        {"learning_rate": 2e-3, "epsilon": 1e-8},
    ),
}


def _chosen(name: str, flavor: str, **given: float | None) -> list[Any]:
    """The values that were given, and a flavor's defaults for the others."""
    if flavor not in FLAVORS:
        raise StatementError(f"flavor={flavor!r} is not one of {', '.join(map(repr, FLAVORS))}")
    defaults = DEFAULTS[name][FLAVORS.index(flavor)]
    return [defaults.get(key) if value is None else value for key, value in given.items()]


def _learning_rate(value: Any) -> Hyperparameter:
    advice = "give a positive number, such as 0.1, and a smaller one if the loss grows"
    return Hyperparameter("learning_rate", eta, value, POSITIVE, advice)


def GradientDescent(learning_rate: Any) -> UpdateRule:
    r"""Gradient descent: a step against the gradient.

    .. math:: \theta \leftarrow \theta - \eta g

    Raises `StatementError` unless the learning rate is positive and finite.
    Source: Cauchy, *Méthode générale pour la résolution des systèmes d'équations simultanées*, 1847.

    >>> print(GradientDescent(0.1))
    gradient descent: learning_rate η = 0.1
      θ' = θ - η*g
    """
    return UpdateRule(
        name="gradient descent",
        assignments=((theta, theta - eta * g),),
        hyperparameters=(_learning_rate(learning_rate),),
        reference="A. Cauchy, Méthode générale pour la résolution des systèmes d'équations simultanées, 1847",
    )


def Momentum(
    learning_rate: Any, momentum: float = 0.9, nesterov: bool = False, lr_in_velocity: bool = False
) -> UpdateRule:
    r"""Gradient descent with momentum: a heavy ball, or Nesterov's, which looks ahead.

    .. math:: v \leftarrow \mu v + g, \qquad \theta \leftarrow \theta - \eta v
        \quad (\text{Nesterov: } \theta \leftarrow \theta - \eta (g + \mu v))

    With ``lr_in_velocity`` the velocity is a step, :math:`v \leftarrow \mu v - \eta g`, :math:`\theta \leftarrow
    \theta + v` (Nesterov: :math:`\theta + \mu v - \eta g`): the same path while η is constant, another one under a
    schedule. Raises `StatementError` unless the learning rate is positive and finite and 0 ≤ momentum < 1.
    Source: Polyak 1964; Nesterov 1983; in this form Sutskever et al. 2013.

    >>> print(Momentum(0.1, nesterov=True, lr_in_velocity=True))
    Nesterov momentum: learning_rate η = 0.1, momentum μ = 0.9
      v' = μ*v - η*g
      θ' = θ + μ*v' - η*g
    """
    mu, v = sp.Symbol("mu", nonnegative=True), sp.Symbol("v", real=True)
    velocity = mu * v - eta * g if lr_in_velocity else mu * v + g
    step = v if lr_in_velocity else -eta * v
    if nesterov:
        step = mu * v - eta * g if lr_in_velocity else -eta * (g + mu * v)
    return UpdateRule(
        name="Nesterov momentum" if nesterov else "momentum",
        assignments=((v, velocity), (theta, theta + step)),
        hyperparameters=(
            _learning_rate(learning_rate),
            Hyperparameter("momentum", mu, momentum, FRACTION, "0.9 is common; from 1 on the velocity never dies away"),
        ),
        state=(State(v),),
        reference="Y. Nesterov, A method of solving a convex programming problem with convergence rate O(1/k²), 1983"
        if nesterov
        else "B. T. Polyak, Some methods of speeding up the convergence of iteration methods, 1964",
    )


def _epsilon(value: float) -> Hyperparameter:
    advice = "give a small positive number, such as 1e-8: it keeps 0/0 away where the gradient is zero"
    return Hyperparameter("epsilon", _eps, value, POSITIVE, advice)


def _decay(name: str, symbol: sp.Symbol, value: float, usual: str) -> Hyperparameter:
    return Hyperparameter(name, symbol, value, FRACTION, f"{usual} is common; at 1 nothing new would be remembered")


_eps = sp.Symbol("epsilon", positive=True)
_rho, _alpha = sp.Symbol("rho", nonnegative=True), sp.Symbol("alpha", nonnegative=True)
_beta1, _beta2 = sp.Symbol("beta_1", nonnegative=True), sp.Symbol("beta_2", nonnegative=True)
_mu, _lambda = sp.Symbol("mu", nonnegative=True), sp.Symbol("lambda", nonnegative=True)
_m, _s, _u, _v = sp.Symbol("m", real=True), *(sp.Symbol(name, nonnegative=True) for name in ("s", "u", "v"))
_mhat, _vhat = sp.Symbol("mhat", real=True), sp.Symbol("vhat", nonnegative=True)  # corrected for their start at 0
# powers of the decay rates: the same for all coordinates, so that they are states of the rule and not of a coordinate
_p1, _p2 = sp.Symbol("p_1", nonnegative=True), sp.Symbol("p_2", nonnegative=True)


_POWERS = ((_p1, _beta1 * _p1), (_p2, _beta2 * _p2))
_MOMENTS = ((_m, _beta1 * _m + (1 - _beta1) * g), (_v, _beta2 * _v + (1 - _beta2) * g**2))
_BEGUN = (State(_p1, 1.0), State(_p2, 1.0))


def _betas(learning_rate: Any, beta1: float, beta2: float, usual: tuple[str, str]) -> tuple[Hyperparameter, ...]:
    first, second = _decay("beta1", _beta1, beta1, usual[0]), _decay("beta2", _beta2, beta2, usual[1])
    return _learning_rate(learning_rate), first, second


def AdaGrad(
    learning_rate: Any = None,
    epsilon: float | None = None,
    initial_accumulator: float | None = None,
    flavor: str = "torch",
) -> UpdateRule:
    r"""AdaGrad: steps divided by the root of all squared gradients so far.

    .. math:: s \leftarrow s + g^2, \qquad \theta \leftarrow \theta - \eta \frac{g}{\sqrt{s} + \varepsilon}

    Keras and Optax write :math:`\sqrt{s + \varepsilon}` and begin with s = 0.1. Defaults (`DEFAULTS`): η 0.01, ε 1e-10,
    s 0. Raises `StatementError` unless η > 0, ε > 0 and s ≥ 0. Source: Duchi, Hazan, Singer, *Adaptive subgradient
    methods for online learning and stochastic optimization*, 2011.

    >>> print(AdaGrad())
    AdaGrad: learning_rate η = 0.01, epsilon ε = 1e-10
      s' = s + g**2
      θ' = θ - η*g/(sqrt(s') + ε)
    """
    learning_rate, epsilon, initial = _chosen(
        "AdaGrad", flavor, learning_rate=learning_rate, epsilon=epsilon, initial_accumulator=initial_accumulator
    )
    if not initial >= 0:
        raise StatementError(f"initial_accumulator = {initial} is negative, but a root is taken of it: give 0 or more")
    root = sp.sqrt(_s) + _eps if flavor == "torch" else sp.sqrt(_s + _eps)
    return UpdateRule(
        name="AdaGrad",
        assignments=((_s, _s + g**2), (theta, theta - eta * g / root)),
        hyperparameters=(_learning_rate(learning_rate), _epsilon(epsilon)),
        state=(State(_s, initial),),
        reference="J. Duchi, E. Hazan, Y. Singer, Adaptive subgradient methods for online learning and stochastic "
        "optimization, 2011",
    )


def AdaDelta(
    learning_rate: Any = None, rho: float | None = None, epsilon: float | None = None, flavor: str = "torch"
) -> UpdateRule:
    r"""AdaDelta: steps in the ratio of recent steps to recent gradients, so that units agree.

    .. math:: s \leftarrow \rho s + (1-\rho) g^2, \quad
        \Delta = \frac{\sqrt{u + \varepsilon}}{\sqrt{s + \varepsilon}} g, \quad
        u \leftarrow \rho u + (1-\rho) \Delta^2, \quad \theta \leftarrow \theta - \eta \Delta

    Defaults (`DEFAULTS`): η 1, ρ 0.9, ε 1e-6; Keras has others. Raises `StatementError` unless η > 0, 0 ≤ ρ < 1 and
    ε > 0. Source: Zeiler, *ADADELTA: an adaptive learning rate method*, 2012.

    >>> print(round(AdaDelta().step(0.0, g=-6.0)[0], 8))
    0.00316228
    """
    learning_rate, rho, epsilon = _chosen("AdaDelta", flavor, learning_rate=learning_rate, rho=rho, epsilon=epsilon)
    change = sp.Symbol("Delta", real=True)
    return UpdateRule(
        name="AdaDelta",
        assignments=(
            (_s, _rho * _s + (1 - _rho) * g**2),
            (change, g * sp.sqrt(_u + _eps) / sp.sqrt(_s + _eps)),
            (_u, _rho * _u + (1 - _rho) * change**2),
            (theta, theta - eta * change),
        ),
        hyperparameters=(_learning_rate(learning_rate), _decay("rho", _rho, rho, "0.9"), _epsilon(epsilon)),
        state=(State(_s), State(_u)),
        reference="M. D. Zeiler, ADADELTA: an adaptive learning rate method, 2012",
    )


def RMSprop(
    learning_rate: Any = None,
    rho: float | None = None,
    epsilon: float | None = None,
    centered: bool = False,
    momentum: float = 0.0,
    flavor: str = "torch",
) -> UpdateRule:
    r"""RMSprop: steps divided by the root of the recent mean of squared gradients.

    .. math:: v \leftarrow \rho v + (1-\rho) g^2, \qquad
        \theta \leftarrow \theta - \eta \frac{g}{\sqrt{v} + \varepsilon}

    `centered` divides by the standard deviation :math:`\sqrt{v - m^2}`, with m the recent mean of the gradients;
    with `momentum` the quotients are gathered in a velocity. Keras and Optax write :math:`\sqrt{v + \varepsilon}` and
    gather whole steps, η included. Defaults (`DEFAULTS`): η 0.01, ρ 0.99, ε 1e-8. Raises `StatementError` unless η > 0,
    0 ≤ ρ < 1, ε > 0 and 0 ≤ momentum < 1. Source: Tieleman, Hinton, lecture 6.5, 2012; centered: Graves 2013.

    >>> print(RMSprop())
    RMSprop: learning_rate η = 0.01, rho ρ = 0.99, epsilon ε = 1e-08
      v' = ρ*v + (1 - ρ)*g**2
      θ' = θ - η*g/(sqrt(v') + ε)
    """
    learning_rate, rho, epsilon = _chosen("RMSprop", flavor, learning_rate=learning_rate, rho=rho, epsilon=epsilon)
    assignments = [(_v, _rho * _v + (1 - _rho) * g**2)]
    states, hyperparameters = [State(_v)], [_learning_rate(learning_rate), _decay("rho", _rho, rho, "0.99")]
    hyperparameters.append(_epsilon(epsilon))
    spread = _v
    if centered:
        assignments.append((_m, _rho * _m + (1 - _rho) * g))
        states.append(State(_m))
        spread = _v - _m**2
    step = g / (sp.sqrt(spread) + _eps if flavor == "torch" else sp.sqrt(spread + _eps))
    within = flavor != "torch"  # the learning rate, in the velocity
    if momentum:
        velocity = sp.Symbol("b", real=True)
        assignments.append((velocity, _mu * velocity + (eta * step if within else step)))
        states.append(State(velocity))
        hyperparameters.append(Hyperparameter("momentum", _mu, momentum, FRACTION, "0.9 is common"))
        step = velocity
    return UpdateRule(
        name="RMSprop",
        assignments=(*assignments, (theta, theta - (step if momentum and within else eta * step))),
        hyperparameters=tuple(hyperparameters),
        state=tuple(states),
        reference="T. Tieleman, G. Hinton, Lecture 6.5: RMSprop, 2012",
    )


def Adam(
    learning_rate: Any = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float | None = None,
    amsgrad: bool = False,
    flavor: str = "torch",
) -> UpdateRule:
    r"""Adam: momentum divided by the root of the recent mean of squared gradients, both corrected for their start at 0.

    .. math:: m \leftarrow \beta_1 m + (1-\beta_1) g, \quad v \leftarrow \beta_2 v + (1-\beta_2) g^2, \quad
        \theta \leftarrow \theta - \eta \frac{m/(1-\beta_1^t)}{\sqrt{v/(1-\beta_2^t)} + \varepsilon}

    `amsgrad` uses the largest v so far (in Optax, the largest corrected one). Keras corrects the learning rate instead,
    :math:`\alpha = \eta \sqrt{1-\beta_2^t}/(1-\beta_1^t)`, so that ε counts more in the first steps. The default ε is
    1e-8, in Keras 1e-7. Raises `StatementError` unless η > 0, 0 ≤ β < 1 and ε > 0. Source: Kingma, Ba, *Adam: a method
    for stochastic optimization*, 2015; AMSGrad: Reddi, Kale, Kumar 2018.

    >>> print(round(Adam(0.1).step(0.0, g=-6.0)[0], 8))
    0.1
    """
    (epsilon,) = _chosen("Adam", flavor, epsilon=epsilon)
    root, states = _v, [State(_m), State(_v)]
    assignments = [*_POWERS, *_MOMENTS]
    if amsgrad:
        root = sp.Symbol("w", nonnegative=True)
        assignments.append((root, sp.Max(root, _v / (1 - _p2) if flavor == "optax" else _v)))
        states.append(State(root))
    if flavor == "keras":
        alpha = sp.Symbol("alpha", positive=True)
        assignments.insert(2, (alpha, eta * sp.sqrt(1 - _p2) / (1 - _p1)))
        step = alpha * _m / (sp.sqrt(root) + _eps)
    else:
        corrected = root if amsgrad and flavor == "optax" else root / (1 - _p2)
        assignments += [(_mhat, _m / (1 - _p1)), (_vhat, corrected)]
        step = eta * _mhat / (sp.sqrt(_vhat) + _eps)
    return UpdateRule(
        name="Adam with AMSGrad" if amsgrad else "Adam",
        assignments=(*assignments, (theta, theta - step)),
        hyperparameters=(
            *_betas(learning_rate, beta1, beta2, ("0.9", "0.999")),
            _epsilon(epsilon),
        ),
        state=tuple(states),
        scalar_state=_BEGUN,
        reference="D. P. Kingma, J. Ba, Adam: a method for stochastic optimization, 2015",
    )


def AdamW(
    learning_rate: Any = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float | None = None,
    weight_decay: float | None = None,
    amsgrad: bool = False,
    flavor: str = "torch",
) -> UpdateRule:
    r"""Adam with decoupled weight decay: the parameter itself shrinks by ηλ in each step.

    .. math:: \theta \leftarrow \theta - \eta \lambda \theta - \eta \frac{\hat m}{\sqrt{\hat v} + \varepsilon}

    The default λ is 0.01, in Keras 0.004 and in Optax 0.0001. Raises `StatementError` unless η > 0, 0 ≤ β < 1, ε > 0
    and λ ≥ 0. Source: Loshchilov, Hutter, *Decoupled weight decay regularization*, 2019.

    >>> print(round(AdamW(0.1).step(1.0, g=6.0)[0], 8))
    0.899
    """
    epsilon, amount = _chosen("AdamW", flavor, epsilon=epsilon, weight_decay=weight_decay)
    decayed = Adam(learning_rate, beta1, beta2, epsilon, amsgrad, flavor).with_weight_decay(amount, decoupled=True)
    return replace(
        decayed,
        name="AdamW with AMSGrad" if amsgrad else "AdamW",
        reference="I. Loshchilov, F. Hutter, Decoupled weight decay regularization, 2019",
    )


def NAdam(
    learning_rate: Any = None,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float | None = None,
    momentum_decay: float | None = None,
    flavor: str = "torch",
) -> UpdateRule:
    r"""NAdam: Adam with Nesterov's look ahead, and a momentum that grows towards β₁.

    .. math:: \mu_t = \beta_1 (1 - \tfrac12 \, 0.96^{t \psi}), \quad
        \theta \leftarrow \theta - \eta \frac{\frac{1 - \mu_t}{1 - \prod_{i \le t} \mu_i} g
        + \frac{\mu_{t+1}}{1 - \prod_{i \le t+1} \mu_i} m}{\sqrt{v/(1-\beta_2^t)} + \varepsilon}

    with m and v as in `Adam`. Optax leaves the momentum constant, :math:`\mu_t = \beta_1`. Defaults (`DEFAULTS`):
    η 0.002, ε 1e-8, ψ 0.004. Raises `StatementError` unless η > 0, 0 ≤ β < 1, ε > 0 and ψ ≥ 0. Source: Dozat,
    *Incorporating Nesterov momentum into Adam*, 2016.

    >>> NAdam().reference
    'T. Dozat, Incorporating Nesterov momentum into Adam, 2016'
    """
    learning_rate, epsilon, psi_value = _chosen(
        "NAdam", flavor, learning_rate=learning_rate, epsilon=epsilon, momentum_decay=momentum_decay
    )
    psi, now, ahead = sp.Symbol("psi", nonnegative=True), sp.Symbol("mu_t", real=True), sp.Symbol("mu_n", real=True)
    own: list[Hyperparameter] = []
    if flavor == "optax":
        if momentum_decay is not None:
            raise StatementError("Optax's NAdam has a constant momentum: leave momentum_decay out")
        momenta: list[Any] = []
        share = (1 - _beta1) / (1 - _p1) * g + _beta1 / (1 - _beta1 * _p1) * _m
        product = _POWERS[0][1]
    else:
        growth = [_beta1 * (1 - sp.Rational(1, 2) * sp.Rational(24, 25) ** (step * psi)) for step in (t, t + 1)]
        momenta = [(now, growth[0]), (ahead, growth[1])]
        share = (1 - now) / (1 - _p1) * g + ahead / (1 - _p1 * ahead) * _m
        product = now * _p1
        own = [Hyperparameter("momentum_decay", psi, psi_value, NOT_NEGATIVE, "0.004 is common")]
    return UpdateRule(
        name="NAdam",
        assignments=(
            *momenta,
            (_p1, product),
            _POWERS[1],
            *_MOMENTS,
            (_vhat, _v / (1 - _p2)),
            (theta, theta - eta * share / (sp.sqrt(_vhat) + _eps)),
        ),
        hyperparameters=(
            *_betas(learning_rate, beta1, beta2, ("0.9", "0.999")),
            _epsilon(epsilon),
            *own,
        ),
        state=(State(_m), State(_v)),
        scalar_state=_BEGUN,
        reference="T. Dozat, Incorporating Nesterov momentum into Adam, 2016",
    )


def Lion(learning_rate: Any = 1e-4, beta1: float = 0.9, beta2: float = 0.99, weight_decay: float = 0.0) -> UpdateRule:
    r"""Lion: the sign of an interpolated momentum.

    .. math:: \theta \leftarrow \theta - \eta (\operatorname{sign}(\beta_1 m + (1-\beta_1) g) + \lambda \theta), \quad
        m \leftarrow \beta_2 m + (1-\beta_2) g

    Raises `StatementError` unless η > 0, 0 ≤ β < 1 and λ ≥ 0. Source: Chen et al., *Symbolic discovery of optimization
    algorithms*, 2023.

    >>> print(Lion(0.5).step(3.0, g=6.0)[0])
    2.5
    """
    c = sp.Symbol("c", real=True)
    step = sp.sign(c) + _lambda * theta if weight_decay else sp.sign(c)
    decay = (Hyperparameter("weight_decay", _lambda, weight_decay, NOT_NEGATIVE),) if weight_decay else ()
    return UpdateRule(
        name="Lion",
        assignments=(
            (c, _beta1 * _m + (1 - _beta1) * g),
            (theta, theta - eta * step),
            (_m, _beta2 * _m + (1 - _beta2) * g),
        ),
        hyperparameters=(
            *_betas(learning_rate, beta1, beta2, ("0.9", "0.99")),
            *decay,
        ),
        state=(State(_m),),
        reference="X. Chen et al., Symbolic discovery of optimization algorithms, 2023",
    )
