"""What SQLAlchemy and the frameworks around it mean, as tables. Knows no syntax and no rule."""
