"""The ratings that come with steel phantoms as a plain table: one image a row, one simulated rater a column."""

import pandas as pd

labels = pd.read_csv("demo/phantoms/labels.csv").iloc[:20]
sizes = labels.filter(like="rating_").apply(lambda column: column.str[1:])
sizes.insert(0, "item", [f"I{k}" for k in range(1, len(sizes) + 1)])
sizes.to_csv("ratings.csv", index=False)
