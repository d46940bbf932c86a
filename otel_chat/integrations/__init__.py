"""Frameworks, a module each: Starlette and FastAPI, Flask, Django, Channels.

Public. A module finds the route and status as its framework tells them, and stands on `middleware`.
"""
