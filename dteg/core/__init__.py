"""What every part stands on: errors, configuration, secrets, names, retries, the project and its servers."""
