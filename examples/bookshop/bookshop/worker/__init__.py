"""What takes longer, or happens at night."""
