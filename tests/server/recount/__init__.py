"""An independent count of what the definitions say, compared with what the server tells."""
