"""The addresses of four documents on chat analytics, for clients that were written for those.

Each module is the addresses of one document: its paths, its parameters, its keys, in its units
(milliseconds, per cent, 0 where there is nothing). What they answer is what the API's own
addresses answer: the same questions, with the same scopes and tenants.
"""
