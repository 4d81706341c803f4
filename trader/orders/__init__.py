"""Orders and positions: what an order may become, what changes of orders a declared exposure needs. PURE."""
