"""Alerts over HTTP and in the browser, and the worker that delivers."""
