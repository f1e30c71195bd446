"""Draw the pictures of README and documentation from what ``sorby demo`` leaves.

    python docs/make_pictures.py [--demo FOLDER] [--tiles FOLDER]

Without --demo the demonstration is run first, in a temporary folder. --tiles names the --work folder of an earlier
make_outputs.py, for the pictures of the membrane, detection and fracture tutorials, which are left as they are
otherwise.
Everything is a phantom.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

matplotlib.use("Agg")
PICTURES = Path(__file__).resolve().parent / "pictures"
INK, FAINT, TAUGHT, REFERRED = "#1d2433", "#8a93a5", "#2c6e9b", "#c0561f"
NAMES = {"B": "bainite", "G": "martensite (G)", "M": "martensite (M)"}
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
}


class Demo:
    """The verdicts of a demonstration, with the truth beside them."""

    def __init__(self, folder: Path) -> None:
        table = pd.read_csv(folder / "verdicts" / "verdicts.csv", keep_default_na=False)
        table["stem"] = [Path(image).stem for image in table["image"]]
        table["is_novel"] = table["stem"].str.startswith("N")
        truth = pd.read_csv(folder / "new" / "labels.csv")
        table["truth"] = table["stem"].map(truth.set_index(truth["path"].map(lambda path: Path(path).stem))["subtype"])
        self.table, self.folder = table, folder
        self.classes = [name.removeprefix("p_") for name in table if name.startswith("p_")]

    def picture(self, row: pd.Series) -> Image.Image:
        """Return the micrograph of a row."""
        inner = "novel" if row["is_novel"] else "steel"
        return Image.open(self.folder / "new" / inner / "images" / f"{row['stem']}.png").convert("RGB")

    def overlay(self, row: pd.Series) -> Image.Image:
        """Return where the classifier looked."""
        return Image.open(self.folder / "verdicts" / "overlays" / f"{row.name:05d}-{row['stem']}.png").convert("RGB")

    def pick(self, kind: str) -> pd.Series:
        """Return a row: the most ordinary correct one of a class, or the first of a novel kind."""
        if kind in self.classes:
            rows = self.table[(self.table["truth"] == kind) & (self.table["label"] == kind) & ~self.table["is_novel"]]
            return rows.sort_values(["novelty", "confidence"], ascending=False).iloc[0]
        return self.table[self.table["is_novel"] & self.table["stem"].str.endswith(kind)].iloc[0]


def show(axes: Axes, image: Image.Image, title: str) -> None:
    """Put an image into axes, square and without ticks."""
    axes.imshow(image)
    axes.set_title(title, fontsize=8.5, loc="left", color=FAINT, pad=4)
    axes.set_axis_off()


def bars(axes: Axes, row: pd.Series, classes: list[str]) -> None:
    """Draw the probabilities; classes of the conformal set are filled."""
    values = [float(row[f"p_{name}"]) for name in classes]
    inside = str(row["set"]).split("|")
    places = np.arange(len(classes))[::-1]
    axes.barh(
        places, values, height=0.32, edgecolor=TAUGHT, color=[TAUGHT if c in inside else "white" for c in classes]
    )
    for place, name, value in zip(places, classes, values, strict=True):
        axes.text(0, place + 0.2, NAMES.get(name, name), fontsize=7.5, va="bottom", color=FAINT)
        axes.text(value + 0.03, place, f"{value:.2f}", va="center", fontsize=7.5)
    axes.set_xlim(0, 1.3)
    axes.set_ylim(-0.2, len(classes) - 0.3)
    axes.set_axis_off()


def verdict(axes: Axes, row: pd.Series) -> None:
    """Write the verdict in words."""
    referred = str(row["referred"]).lower() == "true"
    axes.set_axis_off()
    head = "referred" if referred else NAMES.get(row["label"], row["label"])
    axes.text(0, 1.0, head, fontsize=12.5, fontweight="bold", va="top", color=REFERRED if referred else TAUGHT)
    names = str(row["set"]).replace("|", ", ") or "empty"
    lines = [f"set: {names}", f"novelty p = {float(row['novelty']):.3f}"]
    if referred:
        lines.append(str(row["reason"]).replace("|", ", "))
    axes.text(0, 0.64, "\n".join(lines), va="top", fontsize=8, linespacing=1.45)


def first_screen(demo: Demo) -> Figure:
    """Two images side by side: one that was taught, one that was not."""
    width, height, side, top = 12.0, 2.3, 1.98, 0.24  # inches
    figure = Figure(figsize=(width, height), dpi=120, facecolor="white")

    def place(left: float, bottom: float, wide: float, high: float) -> Axes:
        return figure.add_axes((left / width, bottom / height, wide / width, high / height))

    for left, kind, title in ((0.05, "B", "phantom: bainite"), (6.1, "pearlite", "phantom: pearlite, never taught")):
        row = demo.pick(kind)
        base = height - top - side
        show(place(left, base, side, side), demo.picture(row), title)
        show(place(left + side + 0.08, base, side, side), demo.overlay(row), "where the classifier looked")
        column = left + 2 * side + 0.24
        verdict(place(column, base + 1.18, 1.6, side - 1.18 + 0.06), row)
        bars(place(column, base, 1.6, 1.12), row, demo.classes)
    return figure


def gallery(demo: Demo) -> Figure:
    """One phantom of each taught class, then the structures never taught."""
    kinds = [*demo.classes, "pearlite", "ferrite", "inclusions", "defocused", "resin"]
    figure = Figure(figsize=(10.4, 5.5), dpi=100, facecolor="white")
    for k, kind in enumerate(kinds):
        row = demo.pick(kind)
        axes = figure.add_subplot(2, 4, k + 1)
        show(
            axes, demo.picture(row), f"{NAMES.get(kind, kind)}, {'taught' if kind in demo.classes else 'never taught'}"
        )
    figure.subplots_adjust(left=0.005, right=0.995, bottom=0.01, top=0.95, wspace=0.03, hspace=0.1)
    return figure


def novelty(demo: Demo, rate: float) -> Figure:
    """Novelty p-values of new specimens and of structures never taught."""
    figure = Figure(figsize=(7.2, 2.2), dpi=110, facecolor="white")
    axes = figure.add_subplot()
    rng = np.random.default_rng(0)
    for place, (name, rows, colour) in enumerate(
        (
            ("never taught", demo.table[demo.table["is_novel"]], REFERRED),
            ("taught classes,\nnew specimens", demo.table[~demo.table["is_novel"]], TAUGHT),
        )
    ):
        height = place + rng.uniform(-0.22, 0.22, len(rows))
        axes.scatter(rows["novelty"].astype(float), height, s=16, alpha=0.7, color=colour, linewidths=0, label=name)
    axes.axvline(rate, color=INK, linewidth=0.9, linestyle="--")
    axes.text(rate * 1.08, 1.52, f"referred as novel below {rate:g}", fontsize=8, va="center")
    axes.set_xscale("log")
    axes.set_xlim(0.005, 1.3)
    axes.set_ylim(-0.5, 1.75)
    axes.set_yticks([0, 1], ["never taught", "taught classes,\nnew specimens"])
    axes.set_xlabel("novelty p-value")
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    return figure


def attribution(demo: Demo) -> Figure:
    """Micrograph and overlay, one of each class."""
    figure = Figure(figsize=(9, 6), dpi=90, facecolor="white")
    for k, kind in enumerate(demo.classes):
        row = demo.pick(kind)
        show(figure.add_subplot(2, 3, k + 1), demo.picture(row), NAMES.get(kind, kind))
        show(figure.add_subplot(2, 3, k + 4), demo.overlay(row), f"evidence for {kind}")
    figure.subplots_adjust(left=0.005, right=0.995, bottom=0.01, top=0.95, wspace=0.03, hspace=0.1)
    return figure


def tiles(work: Path) -> Figure:
    """Tiles of electrode above their anomaly maps: three pinholes from strong to weak, and the weakest of all."""
    table = pd.read_csv(work / "scores" / "scores.csv")
    ranked = table.sort_values("score", ascending=False)
    picked = ranked.iloc[[0, len(ranked) // 3, 2 * len(ranked) // 3, -1]]
    figure = Figure(figsize=(8.2, 4.3), dpi=100, facecolor="white")
    for k, (number, row) in enumerate(picked.iterrows()):
        path = work / row["image"]
        above = "" if row["anomalous"] else ", below the threshold"
        show(figure.add_subplot(2, 4, k + 1), Image.open(path).convert("RGB"), f"phantom {path.stem}")
        map_file = work / "scores" / "maps" / f"{number:05d}-{path.stem}.png"
        show(figure.add_subplot(2, 4, k + 5), Image.open(map_file), f"score {row['score']:.1f}{above}")
    figure.subplots_adjust(left=0.005, right=0.995, bottom=0.01, top=0.94, wspace=0.03, hspace=0.12)
    return figure


def fractures(work: Path) -> Figure:
    """One broken specimen of each cause, from afar to close by, info bars and all."""
    table = pd.read_csv(work / "sharp" / "labels.csv")
    powers = (50, 250, 1000, 10_000)
    figure = Figure(figsize=(8.0, 5.1), dpi=110, facecolor="white")
    for k, (cause, of_cause) in enumerate(table.groupby("label")):
        counts = of_cause[of_cause["magnification"].isin(powers)].groupby("specimen")["magnification"].nunique()
        specimen = of_cause[of_cause["specimen"] == counts.idxmax()].drop_duplicates("magnification")
        for row in specimen.itertuples():
            if row.magnification in powers:
                axes = figure.add_subplot(3, len(powers), 1 + k * len(powers) + powers.index(row.magnification))
                picture = Image.open(work / "sharp" / row.path).convert("RGB")
                show(axes, picture, f"{str(cause).replace('_', ' ')}, {row.magnification:.0f}x")
    figure.subplots_adjust(left=0.005, right=0.995, bottom=0.01, top=0.96, wspace=0.03, hspace=0.15)
    return figure


def mirrors(work: Path) -> Figure:
    """Show an origin, and the mirror measured there with the origin given and searched."""
    names = {"mirror": "measured, origin given", "mirror-searched": "measured, origin searched: wrong"}
    overlays = {text: next((work / name).glob("*.png")) for name, text in names.items()}
    stem = overlays[names["mirror"]].stem.partition("-")[2]
    source = next((work / "sharp" / "archive" / "images").rglob(f"{stem}.tif"))
    figure = Figure(figsize=(8.0, 2.35), dpi=140, facecolor="white")
    for k, (text, path) in enumerate({"phantom, 100x": source, **overlays}.items()):
        show(figure.add_subplot(1, 3, k + 1), Image.open(path).convert("RGB"), text)
    figure.subplots_adjust(left=0.005, right=0.995, bottom=0.01, top=0.93, wspace=0.03)
    return figure


def named_boxes(work: Path) -> Figure:
    """Show what a detector taught by ten tiles finds: a middling tile of each kind, and the first mistake."""
    table = pd.read_csv(work / "marks-seen" / "verdicts.csv", keep_default_na=False)
    marked = table["image"].map(lambda image: Path(image).stem.startswith("mark"))
    found = table["label"] != "none"
    picked = []
    for kind in (name.removeprefix("p_") for name in table if name.startswith("p_")):
        of_kind = table[marked & (table["label"] == kind)].sort_values("confidence")
        picked += [(number, f"phantom: {kind}") for number in of_kind.index[len(of_kind) // 2 :][:1]]
    wrong = table.index[marked != found]
    picked += [(number, "missed" if marked[number] else "a false alarm") for number in wrong[:1]]
    figure = Figure(figsize=(8.2, 2.25), dpi=130, facecolor="white")
    for k, (number, text) in enumerate(picked):
        stem = Path(table["image"][number]).stem
        overlay = Image.open(work / "marks-seen" / "overlays" / f"{number:05d}-{stem}.png").convert("RGB")
        show(figure.add_subplot(1, 4, k + 1), overlay, text)
    figure.subplots_adjust(left=0.005, right=0.995, bottom=0.01, top=0.92, wspace=0.03)
    return figure


def certificate(work: Path) -> None:
    """Save the page of the example certificate as a picture."""
    import pypdfium2 as pdfium

    page = pdfium.PdfDocument(work / "certificates" / "certificates" / "2026-0412.pdf")[0]
    page.render(scale=1.3).to_pil().save(PICTURES / "certificate.jpg", quality=80, optimize=True)


def save(figure: Figure, name: str) -> None:
    """Save as JPEG where micrographs are shown (small), else PNG."""
    PICTURES.mkdir(exist_ok=True)
    jpeg, png = {"pil_kwargs": {"quality": 86, "optimize": True}}, {"metadata": {"Software": None}}
    figure.savefig(PICTURES / name, **(jpeg if name.endswith(".jpg") else png))


def main() -> None:
    """Draw everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", type=Path, help="folder of an earlier `sorby demo`")
    parser.add_argument("--tiles", type=Path, help="working folder of an earlier `make_outputs.py`")
    options = parser.parse_args()
    folder = options.demo
    matplotlib.rcParams.update(STYLE)
    if options.tiles is not None:
        save(tiles(options.tiles), "membrane.jpg")
        save(fractures(options.tiles), "fracture.jpg")
        save(mirrors(options.tiles), "mirror.jpg")
        save(named_boxes(options.tiles), "named-boxes.jpg")
        certificate(options.tiles)
    if folder is None:
        from sorby.workflow.demonstrations.steel import demo_steel

        folder = Path(tempfile.mkdtemp(prefix="sorby-pictures-")) / "demo"
        demo_steel(folder)
    demo = Demo(folder)
    rate = json.loads((folder / "run" / "run.json").read_text("utf-8"))["recipe"]["verdict"]["novelty_rate"]
    save(first_screen(demo), "first-screen.jpg")
    save(gallery(demo), "phantoms.jpg")
    save(attribution(demo), "attribution.jpg")
    save(novelty(demo, rate), "novelty.png")


if __name__ == "__main__":
    main()
