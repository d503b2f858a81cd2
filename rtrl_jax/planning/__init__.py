"""How many processes a network will take, what delay and inaction to expect of them, and how its convolutions are computed."""
