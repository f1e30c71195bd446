"""One portable model artefact: a folder or one .sorby file, checksummed, signed on request.

A bundle holds weights (safetensors), a graph (ONNX) and a description (JSON, checked by a
schema). The format knows no task: tasks register loaders. Opening a bundle verifies every byte
first and never executes anything from it.
"""

from sorby.bundle.description import FORMAT_VERSION, Description, TrainingData, json_schema
from sorby.bundle.export import FORMATS, Exported, export
from sorby.bundle.graphs import register_graph_maker
from sorby.bundle.keys import (
    NewKey,
    SigningKey,
    TrustedKey,
    is_encrypted,
    load_private_key,
    new_key,
    trust,
    trusted_keys,
    untrust,
)
from sorby.bundle.loaders import Loader, load, register_loader, registered_kinds
from sorby.bundle.reading import OpenBundle, open_bundle, verify
from sorby.bundle.signature import Signature
from sorby.bundle.writing import SUFFIX, rewrite, write

__all__ = [
    "FORMATS",
    "FORMAT_VERSION",
    "SUFFIX",
    "Description",
    "Exported",
    "Loader",
    "NewKey",
    "OpenBundle",
    "Signature",
    "SigningKey",
    "TrainingData",
    "TrustedKey",
    "export",
    "is_encrypted",
    "json_schema",
    "load",
    "load_private_key",
    "new_key",
    "open_bundle",
    "register_graph_maker",
    "register_loader",
    "registered_kinds",
    "rewrite",
    "trust",
    "trusted_keys",
    "untrust",
    "verify",
    "write",
]
