"""Sessions carried through a function: its sketch, what is known at each step, and what a function does to those who call it."""
