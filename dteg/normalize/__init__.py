"""Flat files made into tables in third normal form, with a proof that nothing was lost."""
