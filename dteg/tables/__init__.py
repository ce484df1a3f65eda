"""Tables of the warehouse: looking at them."""
