"""Stands in for a person who corrects the review table in a spreadsheet."""

import pandas as pd

table = pd.read_csv("fracture.review.csv", dtype=str, keep_default_na=False)
row = table["image"].str.contains("Bruch_02-26762-4")
print(table.loc[row, ["image", "foan_read", "serial_read", "match", "why", "candidates"]].T.to_string(header=False))
table.loc[row, "correct_foan"] = "FOAN-2020-26762-4"
table.to_csv("fracture.review.csv", index=False)
