"""Schema changes over HTTP and in the browser."""
