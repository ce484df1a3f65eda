"""The metadata cache for other programs, and questions in words: REST and pages."""
