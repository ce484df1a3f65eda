"""Forecasts: the seasonal naive one in plain Python, better ones by statsforecast in an environment of its own."""
