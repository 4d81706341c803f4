"""TradeStation API v3: its wire, tokens and client, and an emulator of it."""
