"""Forecasting: windows, backtests, conformal intervals and the forecaster that is exported."""
