"""What is looked after of an open position besides what its strategy declares: one rule a file. PURE."""
