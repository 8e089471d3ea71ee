"""The rows of statistics: chains, bridges, activity."""
