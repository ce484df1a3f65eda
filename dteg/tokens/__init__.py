"""Credentials of the studio: tokens of programs, and logins of browsers."""
