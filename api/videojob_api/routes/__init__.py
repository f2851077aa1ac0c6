"""The routes, one module a subject; each asks `services` for what it needs and raises an ApiError when it cannot."""
