"""What leaks between folds, what it is worth, and the page that says so."""
