"""What must be true before an order may go: gates, limits, and what of them is used up. PURE."""
