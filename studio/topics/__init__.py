"""Topics over HTTP and in the browser."""
