"""Control flow of one function: a graph of steps, built back to front, and its text. Knows Python, nothing of what is followed through it."""
