"""What is kept of turns and events beside them: worked out again by key, never added up."""
