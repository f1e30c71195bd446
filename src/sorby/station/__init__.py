"""The station: one web application where people look, decide, rate and sign; everything it does is on the record."""
