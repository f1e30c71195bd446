"""Train, load and inspect from Python; the folders are those of docs/make_outputs.py."""

from pathlib import Path

import sorby

trained = sorby.train("my_images", "api-run")
print(f"accuracy {trained['test']['accuracy']:.3f}", trained["test"]["ci95"]["accuracy"])

classifier = sorby.load(trained["bundle"])
for verdict in classifier.inspect(sorted(Path("new_images").glob("*.png"))[:3]):
    print(verdict.image.name, verdict.label, f"{verdict.confidence:.3f}", verdict.labels, verdict.reasons)

micrograph = sorby.read("new_images/N0001_pearlite.png")
print(micrograph.pixels.shape, micrograph.pixels.dtype, micrograph.scale.source)
