"""``make bench``: run every benchmark in a process of its own, keep its JSON, write ``docs/benchmarks.md``.

``python benchmarks/run.py NAME ...`` runs some of them; ``--page`` only writes the page from the stored results.
A benchmark whose data are absent keeps its stored result.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from page import write_page

HERE = Path(__file__).resolve().parent
NAMES = (
    "neu_classification",
    "elpv_classification",
    "magnetic_tile",
    "inspect_speed",
    "finetune_speed",
    "steel_experiments",
    "needle_length",
    "grain_boundaries",
    "inclusions",
    "rater_panel",
    "anomaly_real",
    "padim_parity",
    "anomaly_speed",
    "line_speed",
    "leave_one_out_coverage",
    "pro_speed",
    "info_bars",
    "leakage_audit",
    "hash_search",
    "vit_neu",
    "fracture_mirror",
    "circuit_fit",
    "plate_map",
    "synthesis_kid",
    "synthesis_ablation",
    "membrane_few_shot",
    "neu_detection",
    "detector_speed",
)


def run(name: str) -> bool:
    """Run one benchmark and store its result; return whether it went well."""
    print(f"running {name}", file=sys.stderr)
    done = subprocess.run([sys.executable, str(HERE / f"{name}.py")], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        print(f"{name} failed, its stored result stays", file=sys.stderr)
        return False
    result = json.loads(done.stdout)
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description="run the benchmarks")
    parser.add_argument("names", nargs="*", choices=[[], *NAMES])
    parser.add_argument("--page", action="store_true", help="only write the page")
    arguments = parser.parse_args()
    failed = [] if arguments.page else [name for name in arguments.names or NAMES if not run(name)]
    write_page(HERE / "results", HERE.parent / "docs" / "benchmarks.md")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
