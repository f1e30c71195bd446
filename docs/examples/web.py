"""Write a moving web as raw lines to standard output, as a line camera would, and what is on it to web-truth.csv."""

import sys

from sorby.phantom.membrane import Web, WebSpec, web_strips

ROWS, STRIPS, SEED = 256, 180, 3
SPEC = WebSpec(
    width_px=1536,
    texture=0.045,  # the surface of the sheets with pinholes
    clouds=0.015,
    shading=0.05,
    spot_rate=9.0,
    spot_strength=14.0,
    kinds=("pinhole",),
    defects_per_m=6.0,
    dirt_per_m=0.0,
    repeat_period_mm=157.0,  # something sticks to a roller of 50 mm diameter
    repeat_across_mm=20.0,
)

truth = Web(SPEC, SEED).truth_table(ROWS * STRIPS)
truth.to_csv("web-truth.csv", index=False)
for strip in web_strips(SPEC, SEED, rows=ROWS, strips=STRIPS):
    sys.stdout.buffer.write(strip.tobytes())
