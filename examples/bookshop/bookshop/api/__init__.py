"""The shop as its customers see it."""
