"""Forecasting: windows, backtests, conformal intervals and forecasters."""
