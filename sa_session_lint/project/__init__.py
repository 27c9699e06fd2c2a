"""What is known about the project that a file belongs to: its root, its files, its names, the versions it pins."""
