"""Run every command that the documentation quotes and keep what it prints in docs/outputs/.

    python docs/make_outputs.py [--work FOLDER] [--only NAME ...]

Everything is made from phantoms. The outputs are included in the pages, so a page cannot quote a figure that no
command printed. Times and images per second are those of the computer that ran this.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
OUTPUTS = HERE / "outputs"
README = HERE.parent / "README.md"

#: Output file -> commands whose output it holds, in the order in which they are run.
STEPS: dict[str, list[str]] = {
    "demo": ["sorby demo --out demo"],
    "readme-train": ["sorby train my_images --out run"],
    "readme-inspect": ["sorby inspect run/bundle.sorby new_images --out verdicts --explain"],
    "verdicts-head": ["head -n 4 verdicts/verdicts.csv", "tail -n 2 verdicts/verdicts.csv"],
    "api": ["python api.py"],
    "phantom": ["sorby phantom steel --n 60 --seed 7 --label subtype --novel 10 --out other"],
    "corpus-build": [
        "sorby corpus build demo/phantoms/labels.csv --label subtype --group specimen --out steel.parquet",
    ],
    "corpus-audit": ["sorby corpus audit steel.parquet"],
    "train": ["sorby train steel.parquet --out runs/first"],
    "crossval": ["sorby crossval steel.parquet --folds 5 --out runs/cv"],
    "evaluate": ["sorby evaluate runs/first/bundle.sorby other/corpus.parquet --out evaluation"],
    "inspect": [
        "sorby inspect runs/first/bundle.sorby other/steel/images other/novel/images --out other-verdicts --explain"
    ],
    "codes-against": [
        "sorby evaluate demo/codes/bundle.sorby demo/new/corpus.parquet --label daily_label",
        "sorby evaluate demo/codes/bundle.sorby demo/new/corpus.parquet --label truth",
    ],
    "codes-inspect": [
        "sorby inspect demo/codes/bundle.sorby demo/new/steel/images --out code-verdicts",
        "head -n 5 code-verdicts/verdicts.csv | cut -d , -f 2-4,6,19-22",
    ],
    "needles": [
        "sorby measure needles demo/new/steel/images/S04BC34A_1.png --out needles",
        "sorby measure needles demo/new/steel/images/S04BC34A_1.png --pixel-size-um 0.1857 --subtype G --out needles",
        "grep -E '^path|S04BC34A_1' demo/new/labels.csv | cut -d , -f 7,11,13,17,22",
    ],
    "region": [
        "sorby corpus region demo/new/novel/images/N0001_pearlite.png demo/new/novel/images/N0005_resin.png"
        " --out regions",
    ],
    "show": ["sorby bundle show runs/first/bundle.sorby"],
    "key": ['sorby key new --name "Jane Doe" --out jane.pem'],
    "sign": ["sorby bundle export runs/first/bundle.sorby --sign jane.pem --out signed.sorby"],
    "untrusted": ["sorby bundle verify signed.sorby --require-signed"],
    "trust": ['sorby key trust jane.pem.pub --as "Jane Doe"', "sorby bundle verify signed.sorby --require-signed"],
    "signed-inspect": ["sorby inspect signed.sorby other/novel/images --out signed-verdicts --require-signed"],
    "tampered": ["sorby bundle verify tampered.sorby"],
    "export-onnx": ["sorby bundle export runs/first/bundle.sorby --out model.onnx"],
    "scale": ["sorby corpus scale new_images/N0001_pearlite.png"],
    "weights": ["sorby weights list"],
    "doctor": ["sorby doctor"],
    "json": ["sorby bundle verify signed.sorby --json"],
    "quarantine": ["sorby inspect run/bundle.sorby damaged --out damaged-verdicts"],
    "few-images": ["sorby train few_images --out few-run"],
    "error-missing": ["sorby train no_such_folder --out run2"],
    "error-one-class": ["sorby train my_images/B --out run2"],
    "error-finished": ["sorby train my_images --out run"],
    "error-verdicts": ["sorby inspect run/bundle.sorby new_images --out verdicts"],
    "error-field": ["sorby train my_images --set head.fold=3 --out run2"],
    "error-value": ["sorby train my_images --set image.colour=blue --out run2"],
    "error-weights": ["sorby train my_images --set backbone.name=resnet18.a1_in1k --out run2"],
    "error-cuda": ["sorby train my_images --device cuda --out run2"],
    "error-unsigned": ["sorby inspect run/bundle.sorby new_images --out x --require-signed"],
    "error-image": ["sorby corpus scale no_image.png"],
}


def arrange(work: Path) -> None:
    """Lay out the demo's phantoms as a user's folders: one folder a class, new images, a few, a damaged one."""
    phantoms = work / "demo" / "phantoms"
    rows = list(csv.DictReader((phantoms / "labels.csv").open(encoding="utf-8")))
    for row in rows:
        copy(phantoms / row["path"], work / "my_images" / row["subtype"])
    for row in rows[:60]:
        copy(phantoms / row["path"], work / "few_images" / row["subtype"])
    for folder in ("steel", "novel"):
        for image in sorted((work / "demo" / "new" / folder / "images").glob("*.png")):
            copy(image, work / "new_images")
    for image in sorted((work / "new_images").glob("*.png"))[:3]:
        copy(image, work / "damaged")
    whole = (work / "damaged" / image.name).read_bytes()
    (work / "damaged" / "broken.png").write_bytes(whole[: len(whole) // 3])
    (work / "no_image.png").write_text("this is text, whatever its name says", encoding="utf-8")
    shutil.copyfile(HERE / "examples" / "api.py", work / "api.py")


def copy(file: Path, folder: Path) -> None:
    """Copy *file* into *folder*, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, folder / file.name)


def tamper(work: Path) -> None:
    """Change one byte in the middle of the signed bundle."""
    data = bytearray((work / "signed.sorby").read_bytes())
    data[len(data) // 2] ^= 1
    (work / "tampered.sorby").write_bytes(data)


def run(command: str, work: Path) -> str:
    """Return the command as typed and what it prints; an exit code other than 0 is said."""
    environment = os.environ | {"SORBY_HOME": "home", "HF_HUB_OFFLINE": "1", "NO_COLOR": "1"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(  # noqa: S602 - the commands stand above
        command, shell=True, cwd=work, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    text = done.stdout.replace(str(work), ".")
    text = re.sub(r"cache folder .*", "cache folder (of the user)", text)
    ending = f"\n(exit code {done.returncode})" if done.returncode else ""
    return f"$ {command}\n{text.strip()}{ending}\n"


def keep(file: Path, text: str) -> None:
    """Write an output, and put it into the README where that quotes the earlier one."""
    earlier = file.read_text("utf-8").rstrip() if file.exists() else ""
    file.write_text(text, encoding="utf-8", newline="\n")
    readme = README.read_text("utf-8")
    if earlier and earlier in readme:
        README.write_text(readme.replace(earlier, text.rstrip()), encoding="utf-8", newline="\n")


def main() -> None:
    """Run all steps, or those named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="empty folder to work in; a temporary one where absent")
    parser.add_argument("--only", nargs="+", choices=list(STEPS), help="rerun these steps in an earlier --work folder")
    options = parser.parse_args()
    work = (options.work or Path(tempfile.mkdtemp(prefix="sorby-docs-"))).resolve()
    work.mkdir(parents=True, exist_ok=True)
    OUTPUTS.mkdir(exist_ok=True)
    for name in options.only or STEPS:
        if name == "tampered":
            tamper(work)
        text = "".join(run(command, work) for command in STEPS[name])
        keep(OUTPUTS / f"{name}.txt", text)
        sys.stderr.write(text)
        if name == "demo":
            arrange(work)


if __name__ == "__main__":
    main()
