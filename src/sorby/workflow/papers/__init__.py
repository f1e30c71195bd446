"""The published tables and figures, drawn again with theirs beside ours."""
