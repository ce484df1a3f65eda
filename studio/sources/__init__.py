"""Sources over HTTP and in the browser."""
