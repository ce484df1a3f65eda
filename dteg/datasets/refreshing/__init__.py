"""Refreshes: rows are built beside those that are read, checked, and only then published.

| module | step |
| --- | --- |
| `background`, `run` | a refresh in a process of its own |
| `refresh` | all steps of one, under a lock and within a deadline |
| `generations` | the copies of rows: built, counted, dropped |
| `checks` | what must be true of them |
| `publishing` | the swap that readers notice nothing of |
| `telling` | what the alerts are told |
"""
