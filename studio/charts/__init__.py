"""Charts and geo layers over HTTP and in the browser."""
