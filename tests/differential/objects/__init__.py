"""Programs with objects, and both sides of them."""
