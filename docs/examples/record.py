"""Seal four entries and anchor them, as the station does with every change."""

from sorby.bundle import load_private_key
from sorby.record import Anchor, Event, Head, append_anchor, seal

key = load_private_key("station.pem")
image = {"image": "8d1f0a" + "0" * 58}
events = [
    Event("ina", "operator", "image.upload", "image:8d1f0a", new={"file": "A-07.tif"}, evidence=image),
    Event("ina", "operator", "inspection.run", "image:8d1f0a", new={"label": "G9-10", "set": ["G9-10", "G8"]}),
    Event(
        "revi",
        "reviewer",
        "review.correct",
        "image:8d1f0a",
        old="G9-10",
        new="G8",
        reason="needles agree with plate 8",
        meaning="reviewed",
    ),
    Event("sue", "supervisor", "certificate.issue", "specimen:A-07", meaning="approved"),
]
head = Head()
with open("record.jsonl", "wb") as record:
    for event in events:
        entry = seal(event, head, key)
        record.write(entry.encode())
        head = Head.of(entry)
append_anchor("anchors.jsonl", Anchor.of(head))
print(f"{head.count} entries, head {head.digest[:16]}")
