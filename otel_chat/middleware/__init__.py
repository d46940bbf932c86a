"""What an HTTP request or a WebSocket says of the turns inside it, for ASGI and WSGI.

Public: `asgi.ChatMiddleware` and `wsgi.WsgiChatMiddleware`. Imports `_turns`, `_telemetry`, leaves.
"""
