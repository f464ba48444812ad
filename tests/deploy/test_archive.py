"""The .edgebundle file: one valid form, and every other one is refused with its reason."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_deploy.archive import open_archive, pack_bundle
from edge_deploy.keys import SigningKey, generate_pair
from edge_deploy.tar_header import header_for
from edge_runtime.bundle.reader import open_bundle
from edge_runtime.bundle.trust import Trust
from edge_runtime.errors import BundleError, StorageError

Pack = Callable[..., Path]
MakeBundle = Callable[..., Path]
MakeSigned = Callable[[Path], Path]


def unpack(file: Path, trusted: Trust) -> Path:
    folder = file.with_suffix(".unpacked")
    with open_archive(file, trusted) as archive:
        archive.unpack(folder)
    return folder


def member(file: Path, name: str) -> tarfile.TarInfo:
    with tarfile.open(file) as tar:
        return tar.getmember(name)


def overwrite(file: Path, offset: int, data: bytes) -> None:
    content = bytearray(file.read_bytes())
    content[offset : offset + len(data)] = data
    file.write_bytes(content)


def flip_a_bit(file: Path, offset: int) -> None:
    overwrite(file, offset, bytes([file.read_bytes()[offset] ^ 1]))


def test_what_was_packed_is_what_is_unpacked(pack: Pack, trusted: Trust) -> None:
    folder = unpack(pack("7"), trusted)

    assert open_bundle(folder).label == "screw-7"
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {
        "manifest.json",
        "manifest.sig",
        "model.fp32.onnx",
        "golden/0.png",
        "golden/0.npy",
    }
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()} == {0o644}
    assert (folder / "golden").stat().st_mode & 0o777 == 0o755


def test_the_same_bundle_gives_the_same_bytes(make_bundle: MakeBundle, signing: SigningKey, tmp_path: Path) -> None:
    for folder, out in ((make_bundle(), tmp_path / "a"), (make_bundle(), tmp_path / "b")):
        pack_bundle(folder, signing, out)

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_any_tar_program_reads_the_file(pack: Pack) -> None:
    file = pack()

    with tarfile.open(file, "r:") as tar:
        members = tar.getmembers()

    names = ["manifest.sig", "manifest.json", "golden/0.npy", "golden/0.png", "model.fp32.onnx"]
    assert [m.name for m in members] == names
    assert {(m.mode, m.uid, m.gid, m.mtime, m.isreg()) for m in members} == {(0o644, 0, 0, 0, True)}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
def test_openssl_accepts_the_signature(pack: Pack, trusted: Trust, tmp_path: Path) -> None:
    with tarfile.open(pack()) as tar:
        for name in ("manifest.sig", "manifest.json"):
            (tmp_path / name).write_bytes(tar.extractfile(name).read())

    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", tmp_path / "keys" / "public.pem", "-rawin"]
    command += ["-in", tmp_path / "manifest.json", "-sigfile", tmp_path / "manifest.sig"]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)

    assert "Signature Verified Successfully" in verified.stdout, verified.stderr


def test_a_bundle_that_lacks_a_file_is_not_packed(make_bundle: MakeBundle, signing: SigningKey) -> None:
    folder = make_bundle()
    (folder / "golden/0.png").unlink()

    with pytest.raises(BundleError, match=r"golden/0.png is missing"):
        pack_bundle(folder, signing, folder.parent / "out")

    assert not (folder.parent / "out").exists()


def test_packing_into_a_folder_that_is_not_there_is_refused(make_bundle: MakeBundle, signing: SigningKey) -> None:
    folder = make_bundle()

    with pytest.raises(StorageError, match=r"nowhere/out: No such file or directory.*; check the path"):
        pack_bundle(folder, signing, folder / "nowhere" / "out")


# What arrives was changed on the way.


@pytest.mark.parametrize("place", [0, 100, 511])
def test_a_file_that_does_not_begin_as_pack_begins_it_is_no_edgebundle(pack: Pack, trusted: Trust, place: int) -> None:
    file = pack()
    flip_a_bit(file, place)

    with pytest.raises(BundleError, match=r"is no .edgebundle file: give one that `edge-deploy pack` wrote"):
        unpack(file, trusted)


@pytest.mark.parametrize("name", ["manifest.sig", "manifest.json"])
def test_a_flipped_bit_in_the_signature_or_the_manifest_is_not_signed(pack: Pack, trusted: Trust, name: str) -> None:
    file = pack()
    found = member(file, name)
    for place in (0, found.size // 2, found.size - 1):
        flip_a_bit(file, found.offset_data + place)

        with pytest.raises(BundleError, match=rf"by the trusted key .* \({trusted.keys[0].fingerprint}\): it"):
            unpack(file, trusted)

        flip_a_bit(file, found.offset_data + place)
    unpack(file, trusted)


def test_another_key_is_not_trusted(pack: Pack, tmp_path: Path) -> None:
    other = Trust((generate_pair(tmp_path / "other"),))

    with pytest.raises(BundleError, match=r"not signed by the trusted key .*public.pem .* packed with another key or"):
        unpack(pack(), other)


def test_a_flipped_bit_in_a_file_is_found_by_its_hash(pack: Pack, trusted: Trust) -> None:
    file = pack()
    flip_a_bit(file, member(file, "model.fp32.onnx").offset_data + 5)

    with pytest.raises(BundleError, match=r"model.fp32.onnx inside is not what the manifest lists: .* copy it again"):
        unpack(file, trusted)


def test_no_flipped_bit_anywhere_is_taken_for_the_bundle(pack: Pack, trusted: Trust, tmp_path: Path) -> None:
    file = pack(model=b"small")
    for number, place in enumerate(range(0, file.stat().st_size, 151)):  # 151: shares no factor with a block's length
        flip_a_bit(file, place)

        with pytest.raises(BundleError), open_archive(file, trusted) as archive:
            archive.unpack(tmp_path / str(number))

        flip_a_bit(file, place)


def test_a_truncated_file_is_refused_wherever_it_was_cut(pack: Pack, trusted: Trust) -> None:
    file = pack()
    whole, manifest = file.read_bytes(), member(file, "manifest.json")
    cuts = {
        100: r"is no .edgebundle file",
        600: r"where manifest.json of at most \d+ bytes must follow the signature there is no tar header: it was cut",
        manifest.offset_data + 10: r"ends inside manifest.json: it was cut short; copy it again",
        len(whole) - 1: rf"has {len(whole) - 1} bytes, its signed manifest asks for {len(whole)}: copy it again",
    }
    for length, message in cuts.items():
        file.write_bytes(whole[:length])

        with pytest.raises(BundleError, match=message):
            unpack(file, trusted)


def test_a_member_that_was_added_is_refused(pack: Pack, trusted: Trust) -> None:
    file = pack()
    file.write_bytes(file.read_bytes()[:-1024] + header_for("more", 0) + bytes(1024))

    with pytest.raises(BundleError, match=r"has \d+ bytes, its signed manifest asks for \d+"):
        unpack(file, trusted)


def test_bytes_between_the_files_are_refused(pack: Pack, trusted: Trust) -> None:
    file = pack()
    manifest, model = member(file, "manifest.json"), member(file, "model.fp32.onnx")
    places = {
        manifest.offset_data + manifest.size: "after manifest.json",
        model.offset_data + model.size: "after model.fp32.onnx",
        file.stat().st_size - 1: "at its end",
    }
    for place, where in places.items():
        flip_a_bit(file, place)

        with pytest.raises(BundleError, match=rf"has other bytes than zeros {where}: it was changed; copy it again"):
            unpack(file, trusted)

        flip_a_bit(file, place)
        shutil.rmtree(file.with_suffix(".unpacked"), ignore_errors=True)


def test_a_missing_file_is_named(trusted: Trust, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"there is no file .*gone.edgebundle: give the .edgebundle file"):
        unpack(tmp_path / "gone.edgebundle", trusted)


# Someone wants to write where they must not.


def header_of(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info.tobuf(tarfile.USTAR_FORMAT)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (header_of("../../evil"), r"the file '../../evil' of 0 bytes"),
        (header_of("/etc/evil"), r"the file '/etc/evil' of 0 bytes"),
        (header_of("golden/0.npy", tarfile.SYMTYPE, "/etc/passwd"), r"the link 'golden/0.npy' to '/etc/passwd'"),
        (header_of("golden/0.npy", tarfile.LNKTYPE, "manifest.sig"), r"the link 'golden/0.npy' to 'manifest.sig'"),
        (header_of("golden/0.npy", tarfile.CHRTYPE), r"'golden/0.npy', which is no plain file"),
        (header_of("golden/0.npy", tarfile.DIRTYPE), r"'golden/0.npy/?', which is no plain file"),
        (header_of("golden/0.npy", size=0o77777777777), r"the file 'golden/0.npy' of 8589934591 bytes"),
        (bytes(512), r"no tar header"),
    ],
    ids=["climbing", "absolute", "symlink", "hard-link", "device", "folder", "absurd-size", "nothing"],
)
def test_a_member_in_the_place_of_a_signed_file_is_refused_before_anything_is_made_of_it(
    pack: Pack, trusted: Trust, header: bytes, found: str
) -> None:
    file = pack()
    overwrite(file, member(file, "golden/0.npy").offset, header)

    with pytest.raises(BundleError, match=rf"has the file 'golden/0.npy' of 0 bytes there is {found}: it was changed"):
        unpack(file, trusted)

    assert list(file.with_suffix(".unpacked").rglob("*")) == []


def test_a_manifest_of_absurd_size_is_refused_unread(pack: Pack, trusted: Trust) -> None:
    file = pack()
    overwrite(file, member(file, "manifest.json").offset, header_for("manifest.json", 1 << 30))

    with pytest.raises(BundleError, match=r"at most 4194304 bytes .* there is the file 'manifest.json' of 1073741824"):
        unpack(file, trusted)


# The one who signs is not to be trusted with everything either.


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "golden/../../evil", ".hidden", "a//b", "line\nbreak", ""])
def test_a_signed_manifest_cannot_name_a_file_outside_the_bundle(
    make_bundle: MakeBundle, make_signed: MakeSigned, trusted: Trust, name: str
) -> None:
    file = make_signed(make_bundle(files={name: {"length": 0, "sha256": "0" * 64}}))

    with pytest.raises(BundleError, match=r"is signed, but its manifest is not of schema version 1: files\."):
        unpack(file, trusted)


@pytest.mark.parametrize("label", [{"name": "../x"}, {"version": "../../x"}, {"schema_version": 2}])
def test_a_signed_manifest_of_another_schema_is_refused(
    make_bundle: MakeBundle, make_signed: MakeSigned, trusted: Trust, label: dict[str, object]
) -> None:
    file = make_signed(make_bundle(**label))

    with pytest.raises(BundleError, match=rf"not of schema version 1: {next(iter(label))}: .*; install the same"):
        unpack(file, trusted)


@pytest.mark.parametrize("name", ["manifest.sig", "manifest.json"])
def test_a_file_with_a_name_that_packing_needs_is_refused(
    make_bundle: MakeBundle, make_signed: MakeSigned, trusted: Trust, name: str
) -> None:
    file = make_signed(make_bundle(files={name: {"length": 0, "sha256": "0" * 64}}))

    with pytest.raises(BundleError, match=rf"lists '{name}' as a file, a name that packing needs itself: rename"):
        unpack(file, trusted)


@pytest.mark.parametrize(("name", "length"), [("n" * 101, 1), ("huge", 1 << 33)])
def test_names_and_files_that_do_not_fit_a_tar_are_refused(
    make_bundle: MakeBundle, make_signed: MakeSigned, trusted: Trust, name: str, length: int
) -> None:
    file = make_signed(make_bundle(files={name: {"length": length, "sha256": "0" * 64}}))

    with pytest.raises(BundleError, match=rf"lists '{name}' of {length} bytes; a name may have 100 characters and"):
        unpack(file, trusted)


def test_a_manifest_that_no_device_would_read_is_not_packed(make_bundle: MakeBundle, signing: SigningKey) -> None:
    folder = make_bundle(recipe="x" * (4 << 20))

    with pytest.raises(BundleError, match=r"manifest.json has more than 4194304 bytes, so it is no manifest"):
        pack_bundle(folder, signing, folder.parent / "out")


def test_what_a_header_cannot_hold_is_a_wrong_argument() -> None:
    with pytest.raises(ValueError, match="a tar header cannot hold"):
        header_for("n" * 101, 0)
