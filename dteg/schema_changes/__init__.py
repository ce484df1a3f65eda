"""Changes of the shape of databases: captured with the transaction that makes them, told once, kept as a history."""
