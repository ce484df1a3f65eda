"""The data app: the project's tables, backups, topics and the rest over HTTP and in the browser."""
