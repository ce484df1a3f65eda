"""Extracts from MySQL and MariaDB."""
