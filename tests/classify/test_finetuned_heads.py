"""Fine-tuned heads: stages trained apart are joined without loss, and stitched towers mix."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sorby.backbone import load as load_backbone
from sorby.classify import finetune
from sorby.classify.cross_stitch import CrossStitched, cross_stitched
from sorby.classify.finetune import Part
from sorby.classify.heads import HeadSpec, Targets, spec_for
from sorby.classify.network import embedding_width
from sorby.classify.recipe import Recipe, load
from sorby.classify.staged_finetune import finetune_head
from sorby.errors import InputError
from textures import textures

CODES = ("B8", "G7", "G8")


def recipe(**changes: object) -> Recipe:
    settings = {
        "regime": "finetune", "backbone.pretrained": False, "finetune.epochs": 1, "finetune.batch_size": 6,
        "finetune.precision": "fp32", "finetune.warmup_steps": 0, **changes,
    }  # fmt: skip
    return load(None, settings)


def parts(seed: int = 3) -> tuple[Part, Part]:
    pixels, labels = textures(["blobs", "stripes", "checks"], 8, seed=seed, size=32)
    rows = np.random.default_rng(0).permutation(24)
    lengths = np.log(np.array([[7.0, 18.0], [12.0, 30.0], [8.0, 20.0]]))[labels]
    targets = Targets(labels, lengths, np.zeros(24, np.intp))
    return tuple(Part(pixels, part, targets.take(part)) for part in (rows[:16], rows[16:]))  # type: ignore[return-value]


def spec(chosen: Recipe) -> HeadSpec:
    return spec_for(chosen.head, CODES, inputs=1, parts=None, lengths=("mean", "largest"), frozen=False)


def scores(network: torch.nn.Module, part: Part) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = network.eval()(torch.from_numpy(part.pixels[part.rows]))[0]
    return found


def test_joined_stages_say_what_each_said_alone(tmp_path: Path) -> None:
    train, validation = parts()
    chosen = recipe(**{"head.kind": "staged", "head.routing": "soft"})
    done = finetune_head(chosen, spec(chosen), train, validation, tmp_path, device="cpu")
    assert set(done.notes["stages"]) == {"subtype", "size of G"}, "B has one size and needs no network"
    assert len(done.network.networks) == 2
    structure = done.network.head.spec.structure
    of_g = np.isin(train.labels, [1, 2])
    alone = finetune.finetune(
        chosen,
        HeadSpec(classes=("7", "8"), inputs=1),
        Part(train.pixels, train.rows[of_g], Targets.plain(structure.grade_of[train.labels[of_g]])),
        Part(validation.pixels, validation.rows[validation.labels > 0],
             Targets.plain(structure.grade_of[validation.labels[validation.labels > 0]])),
        tmp_path / "alone", device="cpu",
    )  # fmt: skip
    p = torch.softmax(scores(done.network, validation), dim=1)
    of_size = torch.softmax(scores(alone.network, validation), dim=1)
    np.testing.assert_allclose(p[:, 1] / (p[:, 1] + p[:, 2]), of_size[:, 0], rtol=1e-3, atol=1e-5)


def test_a_stage_without_one_of_its_classes_is_refused(tmp_path: Path) -> None:
    train, validation = parts()
    chosen = recipe(**{"head.kind": "staged"})
    few = Part(train.pixels, train.rows[train.labels < 2], train.targets.take(train.labels < 2))
    with pytest.raises(InputError, match="stage 'size of G'"):
        finetune_head(chosen, spec(chosen), few, validation, tmp_path, device="cpu")


@pytest.mark.parametrize("kind", ["multitask", "ordinal", "length"])
def test_heads_of_several_tasks_are_trained_through_the_network(tmp_path: Path, kind: str) -> None:
    train, validation = parts()
    chosen = recipe(**{"head.kind": kind, "head.auxiliary": "length"})
    wanted = spec(chosen)
    done = finetune_head(chosen, wanted, train, validation, tmp_path, device="cpu")
    assert scores(done.network, validation).shape == (8, 3)
    started = load_backbone("efficientnet_lite0", pretrained=False, seed=chosen.seed).module
    moved = [
        not torch.equal(a, b) for a, b in zip(started.parameters(), done.network.networks[0].parameters(), strict=True)
    ]
    assert np.mean(moved) > 0.9, "the backbone learns too"
    embedding = np.zeros((2, 1280), np.float32)
    assert done.network.head.log_lengths(embedding).shape == (2, 2)


def test_stitched_towers_begin_near_the_plain_network() -> None:
    plain = load_backbone("efficientnet_lite0", pretrained=False, seed=1)
    width = embedding_width(plain.module)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    wanted = plain.module(images)
    both = cross_stitched(plain).module.eval()
    assert isinstance(both, CrossStitched)
    # Equal towers mixed .9 + .1 stay equal and are the plain network.
    torch.testing.assert_close(both(images)[:, :width], wanted, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(both(images)[:, width:], wanted, rtol=1e-4, atol=1e-4)


def test_a_stitch_lets_one_tower_hear_the_other() -> None:
    both = CrossStitched(load_backbone("resnet18", pretrained=False, seed=1).module).eval()
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for part in both.second.layer1.parameters():
            part.add_(0.05)
        heard = both(images)[:, :512].clone()
        for stitch in both.stitches:
            stitch[0, 1] = 0
            stitch[0, 0] = 1
        deaf = both(images)[:, :512]
    plain = both.first(images)
    torch.testing.assert_close(deaf, plain, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(heard, plain, atol=1e-3)


def test_a_network_that_cannot_be_stitched_is_named() -> None:
    module = load_backbone("vit_tiny_patch16_224", pretrained=False, size=(32, 32)).module
    with pytest.raises(InputError, match="VisionTransformer"):
        CrossStitched(module)


def test_stitched_training_reads_each_half_for_its_own_task(tmp_path: Path) -> None:
    train, validation = parts()
    chosen = recipe(**{"head.kind": "multitask", "head.sharing": "cross-stitch"})
    done = finetune_head(chosen, spec(chosen), train, validation, tmp_path, device="cpu")
    head = done.network.head
    assert head.spec.sharing == "towers"
    features = torch.zeros(1, 2 * 1280)
    features[:, 1280:] = 1.0
    other = torch.zeros(1, 2 * 1280)
    raw, blank = head.readout(features), head.readout(other)
    subtypes = len(head.spec.structure.subtypes)
    torch.testing.assert_close(raw[:, :subtypes], blank[:, :subtypes])
    assert not torch.allclose(raw[:, subtypes:], blank[:, subtypes:])
