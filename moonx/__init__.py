"""MoonX: the back-office engine of a crypto trading platform."""
