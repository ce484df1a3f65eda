"""Send records to a REST API."""
