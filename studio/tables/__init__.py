"""Tables over HTTP and in the browser."""
