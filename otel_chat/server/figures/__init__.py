"""What questions are made of: windows, filters, rows of conversations, sums, the list of figures.

Knows nothing of questions, and of who asks them.
"""
