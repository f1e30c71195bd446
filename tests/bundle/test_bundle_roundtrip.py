from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sorby.bundle import Description, OpenBundle, loaders, open_bundle, register_loader, rewrite, verify, write
from sorby.bundle import load as load_bundle
from sorby.errors import BundleError, InputError


def test_what_was_written_is_read_back(either_form: Path, description, tensors, graph) -> None:
    with open_bundle(either_form) as bundle:
        assert bundle.description == description
        for name, arrays in tensors.items():
            read = bundle.tensors(name)
            assert set(read) == set(arrays)
            for key, array in arrays.items():
                assert read[key].dtype == array.dtype
                np.testing.assert_array_equal(read[key], array)
        assert bundle.read("model.onnx") == graph
        assert bundle.file("model.onnx").read_bytes() == graph
        assert b"CC-BY-4.0" in bundle.read("LICENSE")


def test_folder_and_archive_have_the_same_identity(make: Callable[..., Path]) -> None:
    assert open_bundle(make("b")).sha256 == open_bundle(make("b.sorby")).sha256


def test_unpacking_an_archive_gives_the_folder_form(make: Callable[..., Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(make("b.sorby")) as zipped:
        assert zipped.testzip() is None  # any other zip reader finds its CRCs right
        zipped.extractall(tmp_path / "unpacked")
    assert verify(tmp_path / "unpacked")["intact"]
    folder = make("b")
    for file in folder.iterdir():
        assert (tmp_path / "unpacked" / file.name).read_bytes() == file.read_bytes()


def test_same_content_gives_the_same_bytes(make: Callable[..., Path]) -> None:
    assert make("one.sorby").read_bytes() == make("two.sorby").read_bytes()


def test_order_of_members_and_keys_does_not_change_the_bytes(description, tmp_path: Path) -> None:
    arrays = {"a": np.ones(3), "b": np.zeros(2, np.int32)}
    write(tmp_path / "1.sorby", description, tensors={"x": arrays, "y": arrays}, files={"p": b"1", "q": b"2"})
    backwards = dict(reversed(arrays.items()))
    turned = description.model_copy(update={"model": dict(reversed(description.model.items()))})
    write(tmp_path / "2.sorby", turned, tensors={"y": backwards, "x": backwards}, files={"q": b"2", "p": b"1"})
    assert (tmp_path / "1.sorby").read_bytes() == (tmp_path / "2.sorby").read_bytes()


def test_one_changed_weight_changes_the_identity(description, tmp_path: Path) -> None:
    weights = np.ones(5, np.float32)
    first = write(tmp_path / "1", description, tensors={"weights": {"w": weights}})
    weights[2] = np.nextafter(weights[2], np.float32(2))
    assert write(tmp_path / "2", description, tensors={"weights": {"w": weights}}) != first


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4).T,
        np.arange(10)[::3],
        np.arange(6, dtype=">f4"),
        np.float64(3.5),
        np.array(3.5),
        np.asfortranarray(np.arange(24, dtype=np.int16).reshape(2, 3, 4)),
    ],
    ids=["transposed", "strided", "big-endian", "scalar", "no axes", "fortran"],
)
def test_arrays_of_any_memory_layout_keep_their_values(array, description, tmp_path: Path) -> None:
    write(tmp_path / "b.sorby", description, tensors={"t": {"a": array}})
    read = open_bundle(tmp_path / "b.sorby").tensors("t")["a"]
    assert read.shape == array.shape
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("array", [np.array([{}]), np.array(["a"]), np.ones(2, np.complex128), [1.0]])
def test_only_plain_numbers_become_tensors(array, description, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="plain numbers"):
        write(tmp_path / "b.sorby", description, tensors={"t": {"a": array}})
    assert list(tmp_path.glob("*b.sorby*")) == []


def test_a_large_file_is_streamed_not_held(description, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")  # peak memory; not on Windows
    big = tmp_path / "big.onnx"
    with open(big, "wb") as file:
        file.truncate(120 << 20)
    script = (
        "import resource, sys\n"
        "from sorby.bundle import Description, open_bundle, verify, write\n"
        "from pathlib import Path\n"
        "made = Description.model_validate_json(sys.argv[1])\n"
        "write(sys.argv[3], made)\n"
        "verify(sys.argv[3])\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "write(sys.argv[4], made, files={'model.onnx': Path(sys.argv[2])})\n"
        "assert verify(sys.argv[4])['intact']\n"
        "open_bundle(sys.argv[4]).file('model.onnx')\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    assert resource is not None
    arguments = [description.model_dump_json(), str(big), str(tmp_path / "s.sorby"), str(tmp_path / "b.sorby")]
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    assert int(done.stdout) * unit < 30 << 20  # a quarter of the file; the pieces are 1 MiB


def test_a_copy_written_out_for_a_library_goes_with_the_bundle(make: Callable[..., Path]) -> None:
    bundle = open_bundle(make("b.sorby"))
    copy = bundle.file("model.onnx")
    assert copy.is_file()
    assert set(os.listdir(bundle.folder())) == set(bundle.members)
    if os.name == "posix":
        assert copy.parent.stat().st_mode & 0o077 == 0
    del bundle
    assert not copy.exists()


def test_closing_removes_the_copies_and_leaves_the_bundle_usable(make: Callable[..., Path], graph: bytes) -> None:
    with open_bundle(make("b.sorby")) as bundle:
        first = bundle.file("model.onnx")
    assert not first.parent.exists()
    again = bundle.file("model.onnx")
    assert again.read_bytes() == graph
    bundle.close()


def test_a_folder_hands_out_its_own_files(make: Callable[..., Path]) -> None:
    folder = make("b")
    assert open_bundle(folder).file("model.onnx") == folder / "model.onnx"


def test_a_member_in_a_subfolder_survives_both_forms(description, tmp_path: Path) -> None:
    for name in ("b", "b.sorby"):
        write(tmp_path / name, description, files={"examples/first/a.png": b"png"})
        bundle = open_bundle(tmp_path / name)
        assert bundle.read("examples/first/a.png") == b"png"
        assert bundle.file("examples/first/a.png").read_bytes() == b"png"


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/etc/passwd",
        "C:/x",
        "a\\b",
        "..\\x",
        "",
        "a//b",
        ".hidden",
        "nul.txt",
        "a/COM1",
        "ends.",
        "tab\t",
        "é",
        "x" * 200,
        "a/b/c/d/e",
        "bundle.json",
        "checksums.json",
        "SIGNATURE.json",
    ],
)
def test_unsafe_member_names_are_not_written(name: str, description, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        write(tmp_path / "b.sorby", description, files={name: b"x"})


def test_a_file_and_a_folder_cannot_share_a_name(description, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="folder that is also a file"):
        write(tmp_path / "b.sorby", description, files={"a": b"", "a/b": b""})


def test_an_existing_bundle_is_replaced_only_when_asked(make: Callable[..., Path], description) -> None:
    for path in (make("b"), make("b.sorby")):
        old = open_bundle(path).sha256
        with pytest.raises(InputError, match="exists"):
            write(path, description)
        assert open_bundle(path).sha256 == old
        assert write(path, description, overwrite=True) != old
        assert verify(path)["intact"]


def test_overwriting_never_replaces_a_folder_that_is_no_bundle(description, tmp_path: Path) -> None:
    precious = tmp_path / "thesis"
    precious.mkdir()
    (precious / "chapter1.txt").write_text("years of work")
    with pytest.raises(InputError, match="not a bundle"):
        write(precious, description, overwrite=True)
    assert (precious / "chapter1.txt").read_text() == "years of work"


def test_a_file_that_cannot_be_read_is_named(description, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.onnx"):
        write(tmp_path / "b.sorby", description, files={"model.onnx": tmp_path / "absent.onnx"})
    assert list(tmp_path.glob("*b.sorby*")) == []


def test_rewriting_keeps_identity_and_bytes(make: Callable[..., Path], tmp_path: Path) -> None:
    archive, folder = make("b.sorby"), make("b")
    rewrite(open_bundle(folder), tmp_path / "again.sorby")
    assert (tmp_path / "again.sorby").read_bytes() == archive.read_bytes()
    rewrite(open_bundle(archive), tmp_path / "again")
    assert open_bundle(tmp_path / "again").sha256 == open_bundle(archive).sha256


def test_a_member_changed_after_opening_is_noticed(make: Callable[..., Path], tmp_path: Path) -> None:
    folder = make("b")
    bundle = open_bundle(folder)
    data = bytearray((folder / "model.onnx").read_bytes())
    data[10] ^= 1
    (folder / "model.onnx").write_bytes(data)
    with pytest.raises(BundleError, match="changed while in use"):
        bundle.read("model.onnx")
    with pytest.raises(BundleError, match="changed while being copied"):
        rewrite(bundle, tmp_path / "copy.sorby")
    assert not (tmp_path / "copy.sorby").exists()


def test_asking_for_a_member_that_is_not_there_names_what_is(either_form: Path) -> None:
    bundle = open_bundle(either_form)
    for ask in (bundle.read, bundle.tensors, bundle.file):
        with pytest.raises(BundleError, match="holds no") as caught:
            ask("absent")
        assert "model.onnx" in caught.value.hint
    assert "model.onnx" in bundle
    with pytest.raises(BundleError):
        bundle.read("checksums.json")  # not a member that content may be taken from


def test_a_member_that_is_no_safetensors_file_is_refused(description, tmp_path: Path) -> None:
    header = (1 << 40).to_bytes(8, "little")  # announces a terabyte of header
    for content in (b"", b"junk", header, b"\x80\x04\x95", b"\x02\x00\x00\x00\x00\x00\x00\x00{}x"):
        write(tmp_path / "b.sorby", description, files={"weights.safetensors": content}, overwrite=True)
        with pytest.raises(BundleError, match="not a safetensors file"):
            open_bundle(tmp_path / "b.sorby").tensors("weights")


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaders, "_LOADERS", {})


@pytest.mark.usefixtures("own_registry")
def test_a_registered_loader_gets_the_bundle_and_the_device(either_form: Path) -> None:
    seen: list[tuple[OpenBundle, str]] = []

    def loader(bundle: OpenBundle, device: str) -> str:
        seen.append((bundle, device))
        return "a model"

    register_loader("classifier", loader)
    assert load_bundle(either_form, device="cpu") == "a model"
    assert seen[0][0].description.kind == "classifier"
    assert seen[0][1] == "cpu"


@pytest.mark.usefixtures("own_registry")
def test_a_loader_may_be_named_and_is_imported_on_first_use(either_form: Path) -> None:
    register_loader("classifier", "builtins:print")
    register_loader("classifier", "builtins:print")  # the same again is no conflict
    load_bundle(either_form)
    with pytest.raises(ValueError, match="already"):
        register_loader("classifier", "os:system")
    with pytest.raises(ValueError, match="module:function"):
        register_loader("other", "os.system")


@pytest.mark.usefixtures("own_registry")
def test_a_kind_that_nobody_loads_is_said_so(either_form: Path) -> None:
    register_loader("anomaly", "builtins:print")
    with pytest.raises(BundleError, match="kind 'classifier'") as caught:
        load_bundle(either_form)
    assert "anomaly" in caught.value.hint


@pytest.mark.usefixtures("own_registry")
def test_no_loader_runs_before_the_checksums_hold(make: Callable[..., Path]) -> None:
    folder = make("b")
    (folder / "model.onnx").write_bytes(b"other")
    register_loader("classifier", lambda *_: pytest.fail("the loader ran on a tampered bundle"))
    with pytest.raises(BundleError, match=r"model\.onnx was changed"):
        load_bundle(folder)


def test_importing_the_package_brings_no_heavy_library() -> None:
    script = "import sys, sorby.bundle; print([m for m in ('torch', 'openvino', 'onnx', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_archive_needs_no_particular_suffix_to_be_read(make: Callable[..., Path], tmp_path: Path) -> None:
    renamed = shutil.copy(make("b.sorby"), tmp_path / "attachment.bin")
    assert verify(renamed)["intact"]


def test_a_description_given_as_defaults_is_enough(tmp_path: Path) -> None:
    write(tmp_path / "b", Description(kind="x", name="x", licence="MIT"))
    made = open_bundle(tmp_path / "b").description
    assert made.training_data is None
    assert "sorby" in made.versions
