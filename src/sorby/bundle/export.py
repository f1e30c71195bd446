"""A bundle in other forms, and what each of them leaves behind."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sorby.bundle.canonical import printable
from sorby.bundle.graphs import make_graph
from sorby.bundle.keys import SigningKey, TrustedKey
from sorby.bundle.members import DESCRIPTION, GRAPH
from sorby.bundle.reading import OpenBundle, open_bundle
from sorby.bundle.signature import UNSIGNED, Signature
from sorby.bundle.writing import SUFFIX, rewrite
from sorby.errors import BundleError, InputError
from sorby.files import atomic_write

FORMATS = ("sorby", "folder", "onnx", "openvino", "description")
_BY_SUFFIX = {SUFFIX: "sorby", ".onnx": "onnx", ".xml": "openvino", ".json": "description", "": "folder"}
_SUFFIX_OF = {"sorby": SUFFIX, "onnx": ".onnx", "openvino": ".xml", "description": ".json"}

_BARE_GRAPH = (
    "checksums and signature",
    "preprocessing rules (the graph starts after decoding and sizing)",
    "calibration, conformal sets and novelty limits, as far as they are not in the graph",
    "class names, metrics, limits and provenance",
)


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    Attributes
    ----------
    format : str
        One of `FORMATS`.
    files : list of Path
        What was written: a file, a folder, or the two files of an OpenVINO model.
    left_out : list of str
        What the bundle has and the export has not.
    sha256 : str
        Identity of the bundle it came from.
    signature : Signature
        The signature of what was written; unsigned for the forms that cannot carry one.
    """

    format: str
    files: list[Path]
    left_out: list[str]
    sha256: str
    signature: Signature


def export(
    path: Path | str,
    out: Path | str,
    *,
    to: str | None = None,
    signing_key: SigningKey | None = None,
    require_signed: bool = False,
    trusted: Mapping[str, TrustedKey] | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write a bundle in another form.

    Parameters
    ----------
    path : Path or str
        The bundle.
    out : Path or str
        Destination.
    to : {'sorby', 'folder', 'onnx', 'openvino', 'description'}, optional
        By default what the suffix of *out* says: ``.sorby``, ``.onnx``, ``.xml`` (OpenVINO, with its
        ``.bin`` beside it), ``.json`` (the description), none (a folder).
    signing_key : SigningKey, optional
        Sign the result; possible for ``sorby`` and ``folder`` only.
    require_signed : bool
        Refuse to export a bundle that is not signed with a trusted key.
    trusted : Mapping[str, TrustedKey], optional
        Trusted keys by fingerprint; by default the user's list.
    overwrite : bool
        Replace what is at *out*.

    Raises
    ------
    BundleError
        The bundle does not verify, or holds no graph to export.
    InputError
        Unknown format, a destination that exists or cannot be written, or a signature on a form
        that cannot carry one.
    """
    out = Path(out)
    form = _choose(out, to)
    if signing_key is not None and form not in ("sorby", "folder"):
        raise InputError(f"an export to {form} cannot carry a signature", "sign a .sorby file or a folder")
    with open_bundle(path, require_signed=require_signed, trusted=trusted) as bundle:
        if form in ("sorby", "folder"):
            rewrite(bundle, out, signing_key=signing_key, overwrite=overwrite)
            with open_bundle(out, trusted=trusted) as written:  # what was written is what is reported
                return Exported(form, [out], [], written.sha256, written.signature)
        for target in [out, out.with_suffix(".bin")] if form == "openvino" else [out]:
            if target.exists() and not overwrite:
                raise InputError(f"{target}: exists", "choose another --out, or --overwrite")
        if form == "description":
            left_out = [name for name in bundle.members if name != DESCRIPTION] + ["checksums and signature"]
            return Exported(form, _copy(bundle, DESCRIPTION, out), left_out, bundle.sha256, UNSIGNED)
        graph, content = _graph_of(bundle)
        files = _write_onnx(content, out) if form == "onnx" else _write_openvino(bundle, content, out)
        return Exported(form, files, [*_BARE_GRAPH, *_other_members(bundle, graph)], bundle.sha256, UNSIGNED)


def _choose(out: Path, to: str | None) -> str:
    form = to or _BY_SUFFIX.get(out.suffix.lower())
    if form not in FORMATS:
        what = f"'{printable(to)}'" if to else f"the suffix '{out.suffix}'"
        raise InputError(f"{what} is no export format", f"formats: {', '.join(FORMATS)} (--to)")
    wanted = _SUFFIX_OF.get(form)
    if (wanted is not None and out.suffix.lower() != wanted) or (form == "folder" and out.suffix == SUFFIX):
        raise InputError(f"{out}: does not end as {form} does", f"give --out with {wanted or 'no suffix'}")
    return form


def _graph_of(bundle: OpenBundle) -> tuple[str, bytes]:
    """Return the name and content of the graph: a member, or what the task makes of the weights."""
    graphs = [name for name in bundle.members if name.endswith(".onnx")]
    if not graphs:
        made = make_graph(bundle)
        if made is not None:
            return GRAPH, made
    if GRAPH in graphs:
        return GRAPH, bundle.read(GRAPH)
    if len(graphs) != 1:
        what = "no ONNX graph" if not graphs else "several ONNX graphs"
        raise BundleError(f"{bundle.path}: holds {what}", "export it as a folder and take what you need")
    return graphs[0], bundle.read(graphs[0])


def _other_members(bundle: OpenBundle, graph: str) -> Iterable[str]:
    # A graph that is no member was made of the weights: these are in it.
    inside = () if graph in bundle.members else (".safetensors",)
    return (name for name in bundle.members if name not in (graph, DESCRIPTION) and not name.endswith(inside))


def _copy(bundle: OpenBundle, name: str, out: Path) -> list[Path]:
    with atomic_write(out) as file:
        for piece in bundle.container.chunks(name):
            file.write(piece)
    return [out]


def _write_onnx(content: bytes, out: Path) -> list[Path]:
    with atomic_write(out) as file:
        file.write(content)
    return [out]


def _write_openvino(bundle: OpenBundle, content: bytes, out: Path) -> list[Path]:
    """Convert through OpenVINO's own ONNX reader; weights keep their precision."""
    import openvino

    weights = out.with_suffix(".bin")
    with tempfile.TemporaryDirectory(prefix="sorby-export-") as scratch:
        converted = Path(scratch) / "model.xml"
        try:
            openvino.save_model(openvino.Core().read_model(content), converted, compress_to_fp16=False)
        except RuntimeError as error:
            reason = printable(str(error).strip().splitlines()[-1][:160])
            raise BundleError(f"{bundle.path}: OpenVINO cannot convert its graph ({reason})") from error
        # The weights first: the .xml, by which the model is opened, appears only when they are there.
        for source, target in ((converted.with_suffix(".bin"), weights), (converted, out)):
            with open(source, "rb") as reader, atomic_write(target) as writer:
                shutil.copyfileobj(reader, writer)
    return [out, weights]
