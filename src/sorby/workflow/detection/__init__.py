"""Box detection: teaching, evaluation, inspection, the published protocol, and the sets for them."""
