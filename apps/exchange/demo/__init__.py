"""The demo's markets: a recorded day, the same day replayed live, and markets that demo traders
keep alive."""
