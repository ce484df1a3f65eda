"""Other databases and files, whose tables are read in the warehouse beside its own."""
