"""The benchmark page's sections on corrosion: equivalent circuits."""

from __future__ import annotations

from typing import Any

from page_tables import table

Result = dict[str, Any]


def circuit_fit(r: Result) -> str:
    """Return sums of squares and times of circuit fits, beside impedance.py."""
    rows = []
    for name in ("unit", "modulus"):
        found = r[name]
        search, start = found["search_seconds"]["median"], found["one_start"]["seconds"]["median"]
        rows.append([
            name, f"{found['chi2']:.4g}", f"{found['chi2_over_peer']:.3f}" if "chi2_over_peer" in found else "-",
            f"{1000 * search:.0f} ms", f"{1000 * start:.1f} ms",
            f"{found['one_start_times_faster']:.1f}" if "one_start_times_faster" in found else "-",
            f"{100 * r['over_seeds'][name]['within_0.1_percent']:.0f} %",
        ])  # fmt: skip
    header = ["weighting", "sum of squares", "over impedance.py's", "search without a guess", "one start",
              "times faster than impedance.py", "seeds that agree"]  # fmt: skip
    return f"""## Equivalent circuits

`exampleData.csv`, {r["circuit"]}, {r["points"]} points, seven parameters. impedance.py starts from the guess of its
documentation, on the same points and weighting. Our least sum belongs to another arrangement of the same circuit, with
the Warburg element in the slow loop; impedance.py's is among the other minima that are reported, and the parameters of
both loops are flagged as not identifiable.

{table(header, rows)}
"""


SECTIONS = {"circuit_fit": circuit_fit}
