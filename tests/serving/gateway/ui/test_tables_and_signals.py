"""Tables and signals on the page."""

from tests.serving.gateway.browser import Browser


def test_a_table_has_a_field_for_each_column(page: Browser) -> None:
    page.run("location.hash = '#table'")
    page.wait_for("price", "#values")
    assert page.texts("#columns .column > span") == ["rooms", "age"]
    assert page.texts("#columns small") == ["rooms of a flat; 1 to 9", "since it was built"]
    page.type("[name=rooms]", "3")
    page.type("[name=age]", "2.5")
    page.click("#row button")
    page.wait_for("28 1000 USD", "#values .verdict")
    page.type("[name=rooms]", "10")
    page.click("#row button")
    assert page.run("return document.querySelector('[name=rooms]').validity.rangeOverflow")


def test_an_example_or_a_pasted_signal_is_classified(page: Browser) -> None:
    page.run("location.hash = '#signal'")
    page.wait_for("version 1", "#signal-classes")
    assert "test accuracy 0.9877 · test loss 1.2E-7" in page.texts("#signal-section .card")[0]
    page.click("#square")
    page.wait_for("4 samples · 1 ms apart · in mV", "#signal-note")
    page.type("#samples-of-signal", "1 2 3 4")
    page.click("#classify")
    page.wait_for("99.3%", "#signal-classes .bars")
    assert page.texts("#signal-classes .bars b") == ["high", "low"]
    page.type("#samples-of-signal", "1 2 3")
    page.click("#classify")
    page.wait_for("The model reads 4 numbers, but there are 3.", "#signal-classes .error")
