"""Compound interest as a recursion, a formula and a recurrent cell.

Course document 004_1e87cdad635ebe4c, "recursivo".

    vitrine train compound_interest    15 seconds on two CPU cores, without fitting

v(m) = v(m−1)·(1 + i), v(0) = V, for m months at the rate i. The three ways are the recursion, the unfolded formula
V·(1 + i)^m, and a recurrent cell with fixed weights, which needs no fit. The cell's state is the value and its input
the month's rate: s_t = W·s_{t−1} + U·x_t·s_{t−1}, W = U = 1. It runs 360 months; months after the m-th have a rate of
0.

Expect equal results for 1 to 360 months, up to float32 rounding: the product and the sum of each month may each round
by 2^−24 of the value.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from serving.artifacts.model_card import Column, Data, TableRecipe
from training.core.errors import JobError
from training.core.examples import Evaluation, Examples
from training.core.gate import GatePolicy
from training.core.job import Job, JobOptions, require_parameters
from training.core.recipe import Recipe
from training.data import sources
from training.export.exported_model import ExportedModel
from training.export.table import table_model

MONTHS = 360
TABLE = TableRecipe(
    columns=(
        Column(name="principal", description="amount at the start, in any currency"),
        Column(name="rate", unit="1/month", minimum=-1, description="interest each month as a share: 0.01 is 1 %"),
        Column(name="months", unit="month", minimum=0, maximum=MONTHS, description="whole months"),
    ),
    target=Column(name="value", description="after so many months, in the principal's currency"),
)
_PRINCIPALS = (1, 1000, 12345.67)
_RATES = (-0.01, 0.0, 0.0025, 0.01, 0.05)


def recursion(principal: float, rate: float, months: int) -> float:
    return principal if months == 0 else recursion(principal, rate, months - 1) * (1 + rate)


def unfolded(principal: float, rate: float, months: int) -> float:
    return principal * (1 + rate) ** months


class CompoundCell(keras.layers.Layer):  # type: ignore[misc]
    """One month of interest: state is the value [n, 1], input the rate [n, 1]."""

    state_size = output_size = 1

    def build(self, input_shape: Any) -> None:
        """Add the weights W and U, both 1."""
        self.w_state = self.add_weight(shape=(1, 1), initializer="ones", trainable=False)
        self.w_input = self.add_weight(shape=(1, 1), initializer="ones", trainable=False)

    def call(self, rate: Any, states: tuple[Any]) -> tuple[Any, tuple[Any]]:
        """Return the value after the month, as output and as state."""
        (value,) = states
        value = ops.matmul(value, self.w_state) + ops.matmul(rate, self.w_input) * value
        return value, (value,)


def load(options: JobOptions, recipe: Recipe) -> Examples:
    """Return the values of several principals and rates as the test part; nothing to fit."""
    rows = np.array([(p, i, m) for p in _PRINCIPALS for i in _RATES for m in range(1, MONTHS + 1)], np.float32)
    values = np.array([recursion(p, i, int(m)) for p, i, m in rows.astype(np.float64)])
    return Examples(
        train=(rows[:0], values[:0]),
        test=(rows, values),
        data=Data(
            name="the formula of compound interest",
            source="generated",
            licence="none needed",
            rows={"test": len(rows)},
            sha256=sources.digest(rows, values),
        ),
    )


def build(examples: Examples, options: JobOptions, recipe: Recipe) -> keras.Model:
    features = keras.Input((len(TABLE.columns),))
    principal, rate, months = features[:, 0:1], features[:, 1:2], features[:, 2:3]
    rates = ops.repeat(rate, MONTHS, axis=1)
    rates = ops.where(ops.cumsum(ops.ones_like(rates), axis=1) <= months, rates, 0.0)
    value = keras.layers.RNN(CompoundCell())(rates[..., None], initial_state=principal)
    known = ops.logical_and(months >= 0, months <= MONTHS)
    model = keras.Model(features, ops.where(known, value, np.nan))
    require_parameters(model, 2, trainable=0)
    apart = evaluate(model, examples).metrics["roundings"]
    if not apart <= 2:
        raise JobError(f"the three ways are {apart:.2f} roundings of float32 a month apart; at most 2 are expected")
    return model


def evaluate(model: keras.Model, examples: Examples) -> Evaluation:
    """Measure the largest relative difference between the three ways.

    ``roundings`` is the same in roundings of float32 per month.
    """
    rows, recursive = examples.test
    formula = np.array([unfolded(p, i, int(m)) for p, i, m in rows.astype(np.float64)])
    recurrent = ops.convert_to_numpy(model(rows))[:, 0].astype(np.float64)
    ways = np.stack([recursive, formula, recurrent])
    apart = np.ptp(ways, axis=0) / np.abs(formula)
    figures = {"largest_difference": float(apart.max()), "roundings": float((apart / rows[:, 2]).max() * 2**24)}
    return Evaluation(figures, truth=formula, answer=recurrent)


def serve(model: keras.Model, examples: Examples) -> ExportedModel:
    return table_model(model, TABLE, examples.test[0][MONTHS - 1 :: MONTHS])


JOB = Job(
    name="compound_interest",
    title="Compound interest by a recurrent cell with fixed weights",
    course="004_1e87cdad635ebe4c, recursivo",
    recipe=Recipe(epochs=0, batch_size=1, learning_rate=0.0),
    quick=Recipe(epochs=0, batch_size=1, learning_rate=0.0),
    policy=GatePolicy("roundings", higher_is_better=False, bound=2),
    load=load,
    build=build,
    evaluate=evaluate,
    serve=serve,
    search={},  # nothing is fitted
)
