"""Frameworks, a module each: of the web (Starlette, Flask, Django, Channels) and of agents.

Public. A module for the web finds the route and status as its framework tells them, and stands on
`middleware`; one for agents hears of runs as its framework tells them, and stands on `_runs`.
"""
