"""A consensus session of three on two implants, and how far a map lies on the mirror."""

import numpy as np

from sorby.study import Case, Dissent, Joint, Judgement, Session, View, cue_overlap, session_results

low, high = View("a" * 64, magnification=50), View("b" * 64, magnification=500)
cases = (
    Case("implant 7", (low, high), predicted="pressing", confidence=0.97, label="pressing"),
    Case("implant 9", (low,), predicted="grinding", confidence=0.71, label="grinding"),
)
session = Session("September", cases, raters=("Anne", "Bo", "Cy"))

for rater in session.raters:
    says = "no" if rater == "Cy" else "yes"
    alone = {"coincides": says, "plausible": says, "wrong_reason": "no"}
    session = session.with_judgement(Judgement("implant 7", alone, cues=("mirror",), rater=rater))
    alone = {"coincides": "no", "plausible": "unclear", "wrong_reason": "yes"}
    session = session.with_judgement(Judgement("implant 9", alone, rater=rater))

together = Judgement("implant 7", {"coincides": "yes", "plausible": "yes", "wrong_reason": "no"}, cues=("mirror",))
dissent = Dissent("Cy", "plausible", "no", "the map ends at the edge of the mirror")
session = session.with_joint(Joint(together, (dissent,)))
together = Judgement("implant 9", {"coincides": "no", "plausible": "no", "wrong_reason": "yes"}, comment="a glue mark")
session = session.with_joint(Joint(together))

found = session_results(session)
print("unanimous", found["unanimous"]["value"])
for question, entry in found["questions"].items():
    kappa = entry["agreement"]["fleiss_kappa"]["value"]
    print(question, entry["alone"], "kappa", "not defined" if kappa is None else f"{kappa:.2f}")
for entry in found["wrong_reasons"]:
    print("right for the wrong reason:", entry["case"], f"{entry['confidence']:.0%} sure;", entry["comment"])

y, x = np.indices((96, 128))
mirror = np.hypot(y - 60, x - 40) < 22
looked_at = np.exp(-((y - 52) ** 2 + (x - 50) ** 2) / 600)
overlap = cue_overlap(looked_at, mirror)
print(f"mass on the mirror {overlap.mass.value:.2f}, by chance {overlap.mass.chance_mean:.2f}, p {overlap.mass.p:.3f}")
print(f"overlap of the brightest fifth {overlap.iou.value:.2f}, by chance {overlap.iou.chance_mean:.2f}")
