"""Tables of the warehouse: made from files, listed, read, exported and deleted."""
