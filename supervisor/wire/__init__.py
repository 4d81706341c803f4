"""How processes talk: names to endpoints, codec, request and reply, publish and subscribe."""
