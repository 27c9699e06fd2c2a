"""Generated programs, run on real SQLAlchemy and followed by the model: what happens must be a way of the model."""
