"""The registry's web pages: server-made HTML that works without scripts; htmx only saves reloads."""
