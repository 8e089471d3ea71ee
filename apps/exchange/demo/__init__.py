"""The demo's markets: a recorded day, and the same day replayed live."""
