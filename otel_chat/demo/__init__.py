"""An example support bot of a made-up web shop: a user of the library, with real parts.

The classifier is trained on phrases written for this project, the tokenizer is a byte-pair
encoder trained on the shipped texts, the tools look things up in a database, and the times are
the clock's. What it cannot do is write freely: its replies are put together from templates and
FAQ articles, and its "model" is named for that.
"""
