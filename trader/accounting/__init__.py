"""What fills come to: positions, profit, fees, exposure, ours and the broker's side by side. PURE."""
