"""The published tables and figures on a corpus or on phantoms, with theirs beside ours."""

from __future__ import annotations

from sorby.workflow.papers.running import (
    PAPERS,
    run_corrosion_paper,
    run_fracture_paper,
    run_membrane_paper,
    run_paper,
)

__all__ = ["PAPERS", "run_corrosion_paper", "run_fracture_paper", "run_membrane_paper", "run_paper"]
