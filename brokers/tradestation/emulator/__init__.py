"""An emulator of TradeStation API v3: a pure app (state, request, now -> reply) behind a thin HTTP server.

It is its own process outside the desk's tree, keeps its book in a file, and is the oracle of the demo. The pure part
(everything but load, clock and server) imports no clock, socket, file or chance, so that a simulator can run it too.
"""
