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

from PIL import Image

HERE = Path(__file__).resolve().parent
OUTPUTS = HERE / "outputs"
README = HERE.parent / "README.md"

#: A teaching of minutes: what it prints is what it is like, not how good it gets.
BRIEF = "--recipe stills-128 --set training.steps=120"

#: Names the sheet in the name of a tile, such as pinholes-1-03-02.png.
SHEET = r"'(.+)-\d\d-\d\d'"

#: A picture of a broken specimen whose mirror is a tenth to a fifth of its width, and its archive.
SHARP = "sharp/archive/images/plant-2/sem-2020907038-s4832061-fA-m100-02.tif"

#: Curves of corroded coupons, by number: of AZ31B at 303, 313 and 323 K, and of 316L.
CURVE = "cell/corrosion/curves/corrosion-{:04d}-{}"
MAGNESIUM = (1, 4, 6)
STEEL = 2

#: Ten labelled tiles of a web, and others that judge: see docs/examples/marks.py.
TEN, OTHERS = "ten/boxes.json", "others/boxes.json"

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
    "study-agreement": [
        "python ratings.py",
        "sorby study agreement ratings.csv --order 5,6,7,8,9,10",
    ],
    "study-new": [
        "sorby study new demo/codes/corpus.parquet --bundle demo/codes/bundle.sorby --quota G=11,B=5,M=4"
        " --out round-robin",
        "head -n 3 round-robin/hand-out/forms/R01.csv",
    ],
    "study-simulate": ["sorby study simulate round-robin demo/codes/corpus.parquet"],
    "study-report": ["sorby study report round-robin --out round-robin-results"],
    "consensus": ["python consensus.py"],
    "record-made": ['sorby key new --name "Station of the laboratory" --out station.pem', "python record.py"],
    "record-verify": ["sorby record verify record.jsonl --anchors anchors.jsonl --key station.pem.pub"],
    "record-show": ["sorby record show record.jsonl --actor revi"],
    "record-edited": [
        "sed 's/plate 8/plate 9/' record.jsonl > edited.jsonl",
        "sorby record verify edited.jsonl --anchors anchors.jsonl --key station.pem.pub",
    ],
    "record-cut": [
        "head -n 3 record.jsonl > cut.jsonl",
        "sorby record verify cut.jsonl --key station.pem.pub",
        "sorby record verify cut.jsonl --anchors anchors.jsonl --key station.pem.pub",
    ],
    "record-copies": [
        "sorby record export record.jsonl --out record.csv",
        "sorby record anchor record.jsonl --out auditor.jsonl --key station.pem.pub",
    ],
    "certificate": [
        "sorby phantom steel --n 16 --size-px 448 --seed 5 --label subtype --out specimen",
        "python certificate.py",
    ],
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
    "membrane-phantom": [
        "sorby phantom membrane --n 8 --scale 0.3 --tiles 256 --out sheets",
        "mkdir good && cp sheets/membrane/tiles/good/pinholes-* good/",
    ],
    "membrane-fit": [
        rf"sorby anomaly fit good --recipe web --false-alarm-rate 0.02 --specimen-pattern {SHEET} --out pinholes.sorby",
    ],
    "membrane-fresh": [
        "sorby phantom membrane --n 8 --scale 0.3 --tiles 256 --seed 7 --out fresh",
        "mkdir -p new/good new/bad && cp fresh/membrane/tiles/good/pinholes-* new/good/"
        " && cp fresh/membrane/tiles/bad/pinholes-* new/bad/",
    ],
    "membrane-evaluate": [
        "sorby anomaly evaluate pinholes.sorby --good new/good --bad new/bad --masks fresh/membrane/tiles/masks"
        rf" --specimen-pattern {SHEET}",
    ],
    "membrane-score": [
        "sorby anomaly score pinholes.sorby new/bad --pixel-size-um 34 --maps --out scores",
        "head -n 4 scores/scores.csv",
        "head -n 4 scores/findings.csv",
    ],
    "membrane-elsewhere": [
        "mkdir -p other/good other/bad && cp fresh/membrane/tiles/good/baseline-* other/good/"
        " && cp fresh/membrane/tiles/bad/scratched-* other/bad/",
        "sorby anomaly evaluate pinholes.sorby --good other/good --bad other/bad"
        rf" --masks fresh/membrane/tiles/masks --specimen-pattern {SHEET}",
    ],
    "membrane-update": [
        "mkdir today && cp new/good/pinholes-1-* today/",
        "sorby anomaly update pinholes.sorby --add today --out pinholes-2.sorby",
    ],
    "line-run": [
        "python web.py | sorby line run pinholes.sorby - --width 1536 --pixel-size-um 34 --out roll",
    ],
    "line-defects": [
        "cut -d , -f 1-3,8,10,22 roll/roll_map.csv",
        """awk -F , '$3 == "pinhole" {printf "%s %.1f mm, %.1f mm\\n", $3, .034 * $7, .034 * $8}' web-truth.csv""",
        "cat roll/alarms.csv",
    ],
    "line-budget": [
        'sorby line budget --sheet 8x11in --sheets 4 --tiles 4181 --pixel-size-um 34 --speed "10 ft/min"'
        " --bundle pinholes.sorby",
    ],
    "line-budget-published": [
        'sorby line budget --sheet 8x11in --sheets 4 --tiles 4181 --pixel-size-um 34 --speed "10 ft/min"'
        " --measured-n 72,324,900 --measured-s 1.09,3.99,10.78",
    ],
    "anomaly-leave-one-out": [
        "sorby anomaly fit few --set threshold.rule=leave-one-out --out few.sorby",
    ],
    "anomaly-show": ["sorby bundle show pinholes.sorby"],
    "anomaly-quarantine": ["sorby anomaly score pinholes.sorby spoilt --out spoilt-scores"],
    "error-no-good": ["sorby anomaly fit nothing --out x.sorby"],
    "error-one-good": ["sorby anomaly fit one --out x.sorby"],
    "error-rate": ["sorby anomaly fit few --false-alarm-rate 0.001 --out x.sorby"],
    "error-mask": ["sorby anomaly evaluate pinholes.sorby --good new/good --bad spoilt-bad --masks spoilt-masks"],
    "error-places": ["sorby line run few.sorby strips.raw --width 1536 --pixel-size-um 34 --out x"],
    "error-width": ["sorby line run pinholes.sorby strips.raw --pixel-size-um 34 --out x"],
    "error-roll": ["sorby line run pinholes.sorby strips.raw --width 1536 --pixel-size-um 34 --out roll"],
    "fracture-phantom": [
        "sorby phantom fracture --n 96 --size small --out house",
        "ls house/archive",
        "ls house/archive/images/plant-3 | head -n 3",
    ],
    "fracture-build": ["sorby corpus build house/archive --reports house/archive/reports --out fracture.parquet"],
    "fracture-correct": [
        "python correct.py",
        "sorby corpus build house/archive --reports house/archive/reports --out fracture.parquet",
    ],
    "fracture-audit": [
        "sorby corpus audit fracture.parquet --split image --no-embedding --ssim 0.5 --ssim 0.8 --ssim 0.95"
        " --out fracture-audit"
    ],
    "fracture-crossval": ["sorby crossval fracture.parquet --recipe fracture-frozen --out fracture-cv"],
    "fracture-train": ["sorby train fracture.parquet --recipe fracture-frozen --out fracture-run"],
    "fracture-specimens": [
        "sorby specimens fracture-run/bundle.sorby fracture.parquet --rare-class material --expert-class material"
        " --out specimens.sorby",
    ],
    "fracture-new": [
        "sorby phantom fracture --n 12 --size small --seed 7 --unknown 0.2 --out broken",
        "python sort.py broken incoming",
    ],
    "fracture-inspect": [
        "sorby inspect fracture-run/bundle.sorby incoming --by-specimen folder --specimen-judge specimens.sorby"
        " --out fracture-verdicts",
        "cut -d , -f 1-7 fracture-verdicts/specimens.csv",
    ],
    "fracture-truth": ["tail -n +2 broken/archive/truth/specimens.csv | cut -d , -f 1,6 | sort"],
    "fracture-pooled": [
        "sorby inspect fracture-run/bundle.sorby incoming --by-specimen folder --out fracture-pooled",
    ],
    "fracture-triage": ["sorby experiment triage fracture.parquet --recipe fracture-frozen --out fracture-triage"],
    "fracture-magnification": [
        "sorby experiment magnification fracture.parquet --recipe fracture-frozen --out fracture-magnification",
    ],
    "fracture-mirror": [
        "sorby phantom fracture --n 6 --seed 11 --unknown 0 --out sharp",
        f"sorby measure mirror {SHARP} --origin 557,498 --load-n 14790 --bar-mm 12,10,80,40 --out mirror",
    ],
    "fracture-mirror-truth": [
        "grep -E '^specimen|4832061' sharp/archive/truth/specimens.csv | cut -d , -f 1,8,10,11,13"
    ],
    "fracture-mirror-searched": [f"sorby measure mirror {SHARP} --out mirror-searched"],
    "fracture-mirror-refused": [f"sorby measure mirror {SHARP.replace('m100-02', 'm1k-07')} --out mirror-refused"],
    "fracture-scale": [f"sorby corpus scale {SHARP}", f"sorby corpus scale {SHARP} --ignore-tags"],
    "fracture-text-audit": [
        "sorby corpus text-audit sharp/corpus.parquet --n 24 --out text",
        "sorby corpus text-audit sharp/corpus.parquet --n 24 --crop fixed --out text-fixed",
    ],
    "fracture-tune": ["sorby tune fracture.parquet --recipe fracture-frozen --trials 4 --out tuning"],
    "fracture-tune-resume": [
        "sorby tune fracture.parquet --recipe fracture-frozen --trials 6 --resume --out tuning",
    ],
    "fracture-paper": ["sorby paper S4 --specimens 120 --out s4"],
    "electro-phantom": [
        "sorby phantom corrosion --n 12 --images 1 --size 64 --out cell",
        f"head -n 3 {CURVE.format(6, 'pdp.txt')}",
        f"head -n 3 {CURVE.format(6, 'eis.csv')}",
    ],
    "electro-pdp": [
        f"sorby electro pdp {CURVE.format(6, 'pdp.txt')} --material AZ31B --out polarisation",
    ],
    "electro-pdp-truth": ["grep -E '^specimen|-0006' cell/corrosion/curves.csv | cut -d , -f 1,8-11,13,14"],
    "electro-pdp-window": [
        f"sorby electro pdp {CURVE.format(6, 'pdp.txt')} --material AZ31B"
        " --anodic-window 20,60 --cathodic-window 20,60",
    ],
    "electro-pdp-reversed": [
        r"""awk -F '\t' 'NR == 1 {print; next} {printf "%s\t%.6e\n", $1, -$2}'"""
        f" {CURVE.format(6, 'pdp.txt')} > turned.txt",
        "sorby electro pdp turned.txt --material AZ31B",
    ],
    "electro-pdp-series": [
        "sorby electro pdp "
        + " ".join(CURVE.format(k, "pdp.txt") for k in MAGNESIUM)
        + " --temperature-k 303 --temperature-k 313 --temperature-k 323 --material AZ31B"
        " --out over-temperature | grep -E 'K:|icorr .Tafel|^activation|^reading|told from'",
    ],
    "electro-compare": [
        f"sorby electro compare 316L={CURVE.format(2, 'pdp.txt')} 316L={CURVE.format(9, 'pdp.txt')}"
        f" AZ31B={CURVE.format(1, 'pdp.txt')} AZ31B={CURVE.format(7, 'pdp.txt')}",
    ],
    "electro-eis": [f"sorby electro eis {CURVE.format(6, 'eis.csv')} --out impedance"],
    "electro-eis-cpe": [
        f'sorby electro eis {CURVE.format(STEEL, "eis.csv")} --circuit "Rs-p(Rct,CPEdl)" --circuit "Rs-p(Rct,Cdl)"',
    ],
    "electro-eis-truth": [
        "grep -E '^specimen|-0006' cell/corrosion/curves.csv | sed 's/\"[^\"]*\"/circuit/' | cut -d , -f 1,13,16-20"
    ],
    "electro-eis-syntax": [f'sorby electro eis {CURVE.format(6, "eis.csv")} --circuit "Rs-p(Cdl,Rct,RL-L"'],
    "electro-eis-gate": [
        """awk -F , 'NR == 1 {print; next} {k = 1 + NR / 120; printf "%s,%.6e,%.6e\\n", $1, k * $2, k * $3}'"""
        f" {CURVE.format(STEEL, 'eis.csv')} > drifting.csv",
        "sorby electro eis drifting.csv --circuit 316L",
        "sorby electro eis drifting.csv --circuit 316L --gate",
    ],
    "electro-eis-series": [
        "sorby electro eis "
        + " ".join(CURVE.format(k, "eis.csv") for k in MAGNESIUM)
        + " --temperature-k 303 --temperature-k 313 --temperature-k 323 --circuit 'Rs-p(Cdl,Rct,RL-L)'"
        " --out eis-over-temperature | grep -E '^cell|Rp|capacitance'",
    ],
    "corrosion-phantom": [
        "sorby phantom corrosion --n 100 --images 2 --size 256 --plates 2 --seed 11 --out coupons",
    ],
    "corrosion-train": [
        "sorby train coupons/corpus.parquet --label severity --recipe corrosion-severity --out severity"
    ],
    "corrosion-plate": ["sorby measure plate severity/bundle.sorby coupons/plates/plate-01/plate.tif --out plate"],
    "corrosion-fusion": [
        "sorby experiment fusion coupons/corpus.parquet --curves coupons/corrosion/curves --out experiments/fusion"
        " | grep -v '^note'",
    ],
    "corrosion-layers": [
        "sorby train coupons/corpus.parquet --recipe corrosion-table6 --set finetune.epochs=3 --out table6 | tail -n 3",
        "sorby layers table6/bundle.sorby coupons/corrosion/images/corrosion-0001-01.png --out layers",
    ],
    "corrosion-refine": [
        "sorby refine start coupons/corpus.parquet --label severity --recipe corrosion-severity --out refinement",
        'sorby refine round refinement --why "as packaged"',
        'sorby refine round refinement --set head.kind=flat --set head.sharing=auto --why "do grades need an order?"',
        "sorby refine close refinement",
    ],
    "synthesize-split": ["sorby corpus split coupons/corpus.parquet --fractions .5 .2 .3 --out coupons.parquet"],
    "synthesize-train": [f"sorby synthesize train coupons.parquet {BRIEF} --out gan"],
    "synthesize-sample": ["sorby synthesize sample gan --parents coupons.parquet --n 40 --out made"],
    "synthesize-check": ["sorby synthesize check coupons.parquet made --out checked"],
    "synthesize-corpus": [
        "sorby corpus build coupons.parquet --synthetic made --out both.parquet",
        "sorby corpus audit both.parquet",
    ],
    "corrosion-paper": [
        "sorby paper S2 --folds 3 --exposures 300 --epochs 3 --generator-set training.steps=60 --out s2"
    ],
    "detect-tiles": ["python marks.py tiles ten 10 10 1", "python marks.py tiles others 45 45 2"],
    "detect-train": [f"sorby detect train {TEN} --out marks"],
    "detect-evaluate": [f"sorby detect evaluate marks/detector.sorby {OTHERS} --out marks-judged"],
    "detect-inspect": [
        "sorby inspect marks/detector.sorby others/images --pixel-size-um 34 --out marks-seen --explain",
        "head -n 4 marks-seen/findings.csv",
        "head -n 4 marks-seen/verdicts.csv",
    ],
    "detect-line": [
        "python marks.py web | sorby line run marks/detector.sorby - --width 1536 --pixel-size-um 34 --out marks-roll",
    ],
    "detect-line-defects": [
        "cut -d , -f 1-3,8,20,22 marks-roll/roll_map.csv",
        """awk -F , 'NR > 1 {printf "%s %.1f mm, %.1f mm %s\\n", $3, .034 * $7, .034 * $8, $6}' marks-truth.csv""",
    ],
    "detect-export": ["sorby bundle export marks/detector.sorby --out marks.onnx"],
    "detect-shots": [f"sorby detect train {OTHERS} --shots 5 --seed 1 --out five-shots"],
    "error-shots": [f"sorby detect train {TEN} --shots 5 --out x"],
    "error-no-base": [f"sorby detect train {TEN} --base none --out x"],
    "error-no-rules": ["sorby corpus build my_pictures --reports my_reports --out x.parquet"],
    "error-group": [
        "sorby corpus build house/archive --reports house/archive/reports --rules wrong.yaml --out x.parquet"
    ],
    "error-label": [
        "sorby corpus build house/archive --reports house/archive/reports --review bad.csv --out x.parquet"
    ],
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


def arrange_tiles(work: Path) -> None:
    """Lay out few, one, no and damaged tiles of electrode, a mask of another size, and lines of a web."""
    good, bad = sorted((work / "good").glob("*.png")), sorted((work / "new" / "bad").glob("*.png"))
    for tile in good[:30]:
        copy(tile, work / "few")
    copy(good[0], work / "one")
    (work / "nothing").mkdir(exist_ok=True)
    for tile in bad[:3]:
        copy(tile, work / "spoilt")
        copy(tile, work / "spoilt-bad")
        copy(work / "fresh" / "membrane" / "tiles" / "masks" / tile.name, work / "spoilt-masks")
    whole = tile.read_bytes()
    (work / "spoilt" / "broken.png").write_bytes(whole[: len(whole) // 3])
    Image.new("L", (200, 200), 255).save(work / "spoilt-masks" / tile.name)
    (work / "strips.raw").write_bytes(bytes(1536 * 512))


def arrange_specimens(work: Path) -> None:
    """Lay out an archive without rules, spoilt rules and review table."""
    for picture in sorted((work / "broken" / "archive" / "images" / "plant-1").glob("*.tif"))[:3]:
        copy(picture, work / "my_pictures")
    for report in sorted((work / "broken" / "archive" / "reports").glob("*.pdf"))[:3]:
        copy(report, work / "my_reports")
    rules = (work / "house" / "archive" / "rules.yaml").read_text("utf-8")
    (work / "wrong.yaml").write_text(rules.replace("(?P<serial>", "(?P<serail>", 1), encoding="utf-8")
    table = (work / "fracture.review.csv").read_text("utf-8-sig").splitlines()
    name = table[1].partition(",")[0]
    (work / "bad.csv").write_text(f"image,correct_label\n{name},grinding\n", encoding="utf-8")


def copy(file: Path, folder: Path) -> None:
    """Copy *file* into *folder*, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, folder / file.name)


def tamper(work: Path) -> None:
    """Change one byte in the middle of the signed bundle."""
    data = bytearray((work / "signed.sorby").read_bytes())
    data[len(data) // 2] ^= 1
    (work / "tampered.sorby").write_bytes(data)


#: What is laid out after a step for those that follow.
AFTERWARDS = {"demo": arrange, "membrane-fresh": arrange_tiles, "fracture-new": arrange_specimens}


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
    for example in (HERE / "examples").glob("*.py"):
        shutil.copyfile(example, work / example.name)
    for name in options.only or STEPS:
        if name == "tampered":
            tamper(work)
        text = "".join(run(command, work) for command in STEPS[name])
        keep(OUTPUTS / f"{name}.txt", text)
        sys.stderr.write(text)
        if name in AFTERWARDS:
            AFTERWARDS[name](work)


if __name__ == "__main__":
    main()
