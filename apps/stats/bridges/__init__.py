"""How fast bridges quote, and how often they do at all."""
