"""The marketplace: a FastAPI service that lists components only after proof."""
