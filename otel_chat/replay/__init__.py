"""Backfill from transcripts: each user message goes through a decorated handler."""
