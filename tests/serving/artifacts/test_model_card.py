"""The model card: errors, and cards from before the newer kinds."""

import pytest

from serving.artifacts import model_card
from serving.artifacts.model_card import Column, TableRecipe
from tests.programs import shipped

SHIPPED = shipped("sine_rnn")


def test_an_old_card_has_neither_table_nor_signal_nor_predicted() -> None:
    made = model_card.read(SHIPPED)
    assert made.kind == "series" and made.table is None and made.signal is None
    assert made.inputs and made.predicted is None
    assert model_card.parse(made.model_dump_json()) == made


def test_two_columns_with_one_name_are_rejected() -> None:
    column = Column(name="rate", description="one of two")
    with pytest.raises(ValueError, match="two columns have the same name"):
        TableRecipe(columns=(column, column), target=column)


def test_errors_name_the_field() -> None:
    text = model_card.read(SHIPPED).model_dump_json()
    with pytest.raises(model_card.ModelCardError, match="cannot be read: kind: Input should be a valid string"):
        model_card.parse(text.replace('"kind":"series"', '"kind":3'))
    with pytest.raises(model_card.ModelCardError, match="there is no model card at"):
        model_card.read(SHIPPED / "nowhere")
