from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sorby.bundle import SigningKey, verify
from sorby.cli import cli
from sorby.cli._frame import run


@pytest.fixture
def sorby(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: object) -> tuple[int, str, str]:
        code = run(cli, [str(argument) for argument in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_from_key_to_verified_bundle(sorby, make: Callable[..., Path], tmp_path: Path) -> None:
    code, out, _ = sorby("key", "new", "--name", "Jane Doe", "--out", tmp_path / "jane.pem", "--json")
    made = json.loads(out)
    assert code == 0
    code, out, _ = sorby(
        "bundle", "export", make("b.sorby"), "--sign", made["private_key"], "--out", tmp_path / "s.sorby", "--json"
    )
    exported = json.loads(out)
    assert code == 0
    assert exported["signature"]["status"] == "untrusted"
    assert {"sha256", "classes", "metrics"} <= set(exported)
    code, _, err = sorby("bundle", "verify", tmp_path / "s.sorby", "--require-signed")
    assert code == 2
    assert "untrusted" in err
    assert "hint: " in err
    code, out, _ = sorby("key", "trust", made["public_key"], "--as", "Jane of the lab", "--json")
    assert (code, json.loads(out)["fingerprint"]) == (0, made["fingerprint"])
    code, out, _ = sorby("bundle", "verify", tmp_path / "s.sorby", "--require-signed")
    assert code == 0
    assert "intact, signed by Jane of the lab" in out
    code, out, _ = sorby("key", "list", "--json")
    assert [entry["name"] for entry in json.loads(out)["keys"]] == ["Jane of the lab"]
    assert sorby("key", "untrust", "Jane of the lab")[0] == 0
    assert sorby("bundle", "verify", tmp_path / "s.sorby", "--require-signed")[0] == 2


def test_show_states_what_the_contract_asks_for(sorby, either_form: Path) -> None:
    code, out, _ = sorby("bundle", "show", either_form, "--json")
    shown = json.loads(out)
    assert code == 0
    assert shown["classes"] == ["G3", "G4", "Übergang"]
    assert shown["metrics"]["accuracy"]["value"] == 0.93
    assert shown["signature"]["status"] == "unsigned"
    assert shown["sha256"] == verify(either_form)["sha256"]
    code, out, _ = sorby("bundle", "show", either_form)
    for text in ("needle grades", "CC-BY-4.0", "Übergang", "accuracy 0.93 (95 % 0.88 to 0.97), n = 40", "unsigned"):
        assert text in out


def test_a_tampered_bundle_is_reported_and_fails(sorby, make: Callable[..., Path]) -> None:
    folder = make("b")
    (folder / "model.onnx").write_bytes(b"x")
    code, out, err = sorby("bundle", "verify", folder, "--json")
    report = json.loads(out)
    assert code == 2
    assert report["intact"] is False
    assert any("model.onnx was changed" in line for line in report["problems"])
    assert [line.split(":")[0] for line in err.strip().splitlines()] == ["error", "hint"]
    code, out, _ = sorby("bundle", "verify", folder)
    assert (code, out.splitlines()[0]) == (2, "NOT INTACT")
    for command in (["show", folder], ["export", folder, "--out", folder.with_name("c.sorby")]):
        code, out, err = sorby("bundle", *command)
        assert (code, out) == (2, "")
        assert "model.onnx was changed" in err


def test_nothing_there_is_two_lines(sorby, tmp_path: Path) -> None:
    for command in ("show", "verify"):
        code, out, err = sorby("bundle", command, tmp_path / "absent.sorby")
        assert (code, out) == (2, "")
        assert [line.split(":")[0] for line in err.strip().splitlines()] == ["error", "hint"]


def test_an_encrypted_key_takes_its_passphrase_from_the_environment(
    sorby, make: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SORBY_KEY_PASSPHRASE", "nital")
    assert sorby("key", "new", "--name", "J", "--out", tmp_path / "j.pem", "--passphrase")[0] == 0
    path = make("b.sorby")
    assert sorby("bundle", "export", path, "--sign", tmp_path / "j.pem", "--out", tmp_path / "1.sorby")[0] == 0
    monkeypatch.setenv("SORBY_KEY_PASSPHRASE", "picral")
    code, _, err = sorby("bundle", "export", path, "--sign", tmp_path / "j.pem", "--out", tmp_path / "2.sorby")
    assert code == 2
    assert "wrong passphrase" in err
    assert not (tmp_path / "2.sorby").exists()


def test_an_export_says_what_it_leaves_out(sorby, make: Callable[..., Path], tmp_path: Path) -> None:
    code, out, _ = sorby("bundle", "export", make("b"), "--out", tmp_path / "m.onnx")
    assert code == 0
    assert "left out: calibration" in out


@pytest.mark.parametrize(
    "command",
    [
        "bundle show",
        "bundle verify",
        "bundle export",
        "key new",
        "key trust",
        "key list",
        "key untrust",
        "key",
        "bundle",
    ],
)
def test_help_shows_an_example(command: str, sorby) -> None:
    code, out, _ = sorby(*command.split(), "--help")
    assert code == 0
    assert "Example: sorby" in out


def test_a_signed_bundle_read_without_trust_is_told_apart(sorby, make: Callable[..., Path], jane: SigningKey) -> None:
    _, out, _ = sorby("bundle", "verify", make("b", signing_key=jane))
    assert "untrusted key" in out
    assert "Jane Doe" in out
