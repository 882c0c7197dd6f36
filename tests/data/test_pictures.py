"""Pictures in folders: every kind of file, what folders mean, and what is refused or left out with a word."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spikewright.data import PictureDataset, Preprocessing, as_dataset, load_data
from spikewright.data.decode import decode, picture_header, pixels
from spikewright.errors import DataError

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (4, 5), np.uint8)
COLOUR = RANDOM.integers(0, 256, (4, 5, 3), np.uint8)
WIDE = RANDOM.integers(0, 65536, (4, 5), np.uint16)


def only(data: object) -> np.ndarray:
    ((x, _),) = data.batches(1000)  # type: ignore[attr-defined]
    return x


def folder(path: Path, *names: str, value: int | None = None) -> Path:
    """One grey picture at each name, all the same value or each another."""
    for k, name in enumerate(names):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 5), k if value is None else value, np.uint8)).save(path / name)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "tiff", "ppm", "pnm", "webp", "jpg", "jpeg", "gif"])
def test_every_kind_of_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {"quality": 100} if suffix.startswith("j") else {}
    image = Image.fromarray(COLOUR)
    image.save(path, **options)  # type: ignore[arg-type]
    with Image.open(path) as again:
        expected = np.asarray(again.convert("RGB"))
    np.testing.assert_array_equal(decode(path, 3, "refuse"), expected)
    if suffix not in ("jpg", "jpeg", "gif"):
        np.testing.assert_array_equal(expected, COLOUR)
    path.rename(tmp_path / "X.PNG")  # what it is called does not matter
    np.testing.assert_array_equal(decode(tmp_path / "X.PNG", 3, "refuse"), expected)


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_sixteen_bits_are_kept_and_scaled_by_their_own_maximum(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(WIDE).save(tmp_path / f"x.{suffix}")
    raw = load_data(str(tmp_path), shape=(1, 4, 5))
    np.testing.assert_array_equal(only(raw)[0, 0], WIDE)
    assert raw.notes[0].startswith("pictures have 16 bits, their values go up to 65535; totensor scales by that")
    scaled = load_data(str(tmp_path), shape=(1, 4, 5), preprocessing=Preprocessing.parse("totensor"))
    np.testing.assert_array_equal(only(scaled)[0, 0], WIDE.astype(np.float32) / 65535)
    colour = load_data(str(tmp_path), shape=(3, 4, 5), preprocessing=Preprocessing.parse("totensor"))
    np.testing.assert_array_equal(only(colour)[0, 2], WIDE.astype(np.float32) / 65535)


def test_big_endian_tiff(tmp_path: Path) -> None:
    values = WIDE.astype(">u2").tobytes()
    tags = [(256, 3, 1, 5), (257, 3, 1, 4), (258, 3, 1, 16), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8)]
    tags += [(277, 3, 1, 1), (278, 3, 1, 4), (279, 4, 1, len(values))]
    entries = b"".join(struct.pack(">HHI", t, k, n) + struct.pack(">HH" if k == 3 else ">I", *([v, 0][: 3 - k // 2]))
                       if k == 3 else struct.pack(">HHII", t, k, n, v) for t, k, n, v in tags)  # fmt: skip
    head = b"MM\0*" + struct.pack(">I", 8 + len(values))
    (tmp_path / "x.tif").write_bytes(head + values + struct.pack(">H", len(tags)) + entries + b"\0\0\0\0")
    np.testing.assert_array_equal(decode(tmp_path / "x.tif", 1, "refuse")[..., 0], WIDE)


def test_eight_and_sixteen_bits_side_by_side(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    Image.fromarray(GREY.astype(np.uint16) * 257).save(tmp_path / "b.png")
    with pytest.raises(DataError, match=r"b\.png: has 16 bits, the first picture 8; preprocess with totensor"):
        load_data(str(tmp_path), shape=(1, 4, 5))
    both = only(load_data(str(tmp_path), shape=(1, 4, 5), preprocessing=Preprocessing.parse("totensor")))
    np.testing.assert_allclose(both[0], both[1], rtol=1e-6)


def test_sixteen_bits_a_colour_are_read_as_eight_with_a_word(tmp_path: Path) -> None:
    wide = np.repeat(WIDE[..., None], 3, 2).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in wide)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    parts = chunk(b"IHDR", struct.pack(">IIBBBBB", 5, 4, 16, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows))
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + parts + chunk(b"IEND", b""))
    data = load_data(str(tmp_path), shape=(3, 4, 5), preprocessing=Preprocessing.parse("totensor"))
    assert data.notes == ("1 of 1 pictures have 16 bits a colour, of which the upper 8 are read",)
    np.testing.assert_allclose(only(data)[0, 0], WIDE / 65535, atol=1 / 255)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(tmp_path: Path, orientation: int) -> None:
    image = Image.fromarray(COLOUR)
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / "x.png", exif=exif)
    k = {3: 2, 4: 2, 6: 3, 5: 3, 8: 1, 7: 1}.get(orientation, 0)  # quarter turns to the left
    upright = np.rot90(COLOUR, k)
    if orientation in (2, 4, 5, 7):
        upright = upright[:, ::-1]
    found = decode(tmp_path / "x.png", 3, "refuse")
    np.testing.assert_array_equal(found, upright)
    assert picture_header(tmp_path / "x.png").size == found.shape[:2]


def test_one_bit_and_palettes(tmp_path: Path) -> None:
    Image.fromarray(GREY > 99).save(tmp_path / "x.png")
    np.testing.assert_array_equal(decode(tmp_path / "x.png", 1, "refuse")[..., 0], np.where(GREY > 99, 255, 0))
    palette = Image.fromarray(np.arange(20, dtype=np.uint8).reshape(4, 5) % 4, "P")
    palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 8, 7])
    palette.save(tmp_path / "p.png")
    colours = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 8, 7]]
    np.testing.assert_array_equal(decode(tmp_path / "p.png", 3, "refuse")[0, :4], colours)


def test_the_first_frame_of_a_gif(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((4, 5), v, np.uint8)) for v in (10, 200)]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    assert (decode(tmp_path / "x.gif", 1, "refuse") == 10).all()


def test_cmyk_as_pillow_reads_it(tmp_path: Path) -> None:
    image = Image.fromarray(COLOUR).convert("CMYK")
    image.save(tmp_path / "x.tif")
    np.testing.assert_array_equal(decode(tmp_path / "x.tif", 3, "refuse"), np.asarray(image.convert("RGB")))


def transparent(alpha: int) -> Image.Image:
    image = Image.fromarray(COLOUR).convert("RGBA")
    image.putalpha(alpha)
    return image


def test_transparency(tmp_path: Path) -> None:
    transparent(255).save(tmp_path / "opaque.png")
    np.testing.assert_array_equal(decode(tmp_path / "opaque.png", 3, "refuse"), COLOUR)
    transparent(0).save(tmp_path / "clear.png")
    with pytest.raises(DataError, match=r"clear.png: is transparent in places.*alpha=drop.*alpha=white or alpha=black"):
        decode(tmp_path / "clear.png", 3, "refuse")
    np.testing.assert_array_equal(decode(tmp_path / "clear.png", 3, "drop"), COLOUR)
    assert (decode(tmp_path / "clear.png", 3, "white") == 255).all()
    assert (decode(tmp_path / "clear.png", 1, "black") == 0).all()
    np.testing.assert_array_equal(decode(tmp_path / "clear.png", 4, "refuse")[..., 3], 0)
    palette = Image.fromarray(GREY % 4, "P")
    palette.putpalette([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3])
    palette.save(tmp_path / "p.png", transparency=0)
    with pytest.raises(DataError, match="transparent in places"):
        decode(tmp_path / "p.png", 1, "refuse")


def test_grey_for_colours_and_colours_for_grey(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "x.png")
    grey = only(load_data(str(tmp_path), shape=(1, 4, 5)))
    np.testing.assert_array_equal(grey[0, 0], np.asarray(Image.fromarray(COLOUR).convert("L")))
    flat = only(load_data(str(tmp_path), shape=(4, 5)))
    np.testing.assert_array_equal(flat, grey[:, 0])
    repeated = only(load_data(str(tmp_path), shape=(3, 4, 5), preprocessing=Preprocessing(channels=1)))
    np.testing.assert_array_equal(repeated, np.repeat(grey, 3, 1))
    swapped = only(load_data(str(tmp_path), shape=(3, 4, 5), preprocessing=Preprocessing(order="bgr")))
    np.testing.assert_array_equal(swapped[0, 0], COLOUR[..., 2])
    np.testing.assert_array_equal(only(load_data(str(tmp_path), shape=(20,)))[0], grey.reshape(-1))
    np.testing.assert_array_equal(
        only(load_data(str(tmp_path), shape=(60,)))[0], np.moveaxis(COLOUR, -1, 0).reshape(-1)
    )
    with pytest.raises(DataError, match=r"takes samples of \(7, 4, 5\); pictures have 1, 3 or 4 channels"):
        only(load_data(str(tmp_path), shape=(7, 4, 5)))
    with pytest.raises(DataError, match="takes rows of 21 values; preprocess with resize=ROWSxCOLUMNS"):
        only(load_data(str(tmp_path), shape=(21,)))


def test_class_folders_and_what_else_lies_there(tmp_path: Path) -> None:
    """Issue 11: labels were 2 and 3 where 0 and 1 are right."""
    folder(
        tmp_path, "cat/a.png", "cat/more/b.webp", "dog/c.bmp", "dog/d.TIF", ".ipynb_checkpoints/x.png", "__MACOSX/y.png"
    )
    (tmp_path / "bird").mkdir()
    (tmp_path / "cat" / ".DS_Store").write_bytes(b"")
    (tmp_path / "cat" / "._a.png").write_bytes(b"")
    for k in range(3):
        (tmp_path / "dog" / f"{k}.txt").write_text("no picture")
    folder(tmp_path, "loose.png")
    data = load_data(str(tmp_path), shape=(1, 4, 5))
    assert isinstance(data, PictureDataset)
    assert data.classes == ("cat", "dog")
    ((x, y),) = data.batches(9)
    np.testing.assert_array_equal(y, [0, 0, 1, 1])
    np.testing.assert_array_equal(x[:, 0, 0, 0], [0, 1, 2, 3])
    assert [note.removeprefix(f"{tmp_path}: ") for note in data.notes] == [
        "hidden folders left out: .ipynb_checkpoints, __MACOSX",
        "no class, since there are no pictures in them: bird",
        "3 files are no pictures of a known kind: dog/0.txt, dog/1.txt, dog/2.txt",
        "1 picture beside the class folders left out",
    ]


@pytest.mark.parametrize(
    ("train", "test"), [("train", "test"), ("training", "testing"), ("train", "val"), ("Train", "Valid")]
)
def test_splits_one_level_down(tmp_path: Path, train: str, test: str) -> None:
    folder(tmp_path, f"{train}/a/0.png", f"{train}/b/1.png", f"{train}/c/2.png", f"{test}/a/3.png", f"{test}/c/4.png")
    first, second = (load_data(str(tmp_path), split=s, shape=(1, 4, 5)) for s in ("train", "test"))
    assert (len(first), len(second)) == (3, 2)
    np.testing.assert_array_equal(second.labels, [0, 2])  # as the training folder counts
    assert first.classes == second.classes == ("a", "b", "c")
    assert second.notes == (f"{tmp_path / test}: no pictures of b",)
    folder(tmp_path, f"{test}/d/5.png")
    with pytest.raises(
        DataError, match=r"d is no class that the training folder has \(a, b, c\); labels would not agree"
    ):
        load_data(str(tmp_path), split="test")


def test_splits_that_are_not_there_and_classes_called_like_them(tmp_path: Path) -> None:
    folder(tmp_path / "one", "train/a/0.png", "train/b/0.png")
    with pytest.raises(DataError, match="holds train/ and nothing to test with; name the folder that is meant"):
        load_data(str(tmp_path / "one"), split="test")
    folder(tmp_path / "vehicles", "bus/0.png", "train/1.png")
    assert load_data(str(tmp_path / "vehicles")).classes == ("bus", "train")
    folder(tmp_path / "zip", "inner/a/0.png", "inner/b/0.png")
    data = load_data(str(tmp_path / "zip"))
    assert data.classes == ("a", "b")
    assert "taken from inner/" in data.notes[0]


def test_a_flat_folder_has_no_labels(tmp_path: Path) -> None:
    folder(tmp_path, "b.png", "a.png")
    data = load_data(str(tmp_path), split="train", shape=(1, 4, 5))
    assert not data.has_labels
    np.testing.assert_array_equal(only(data)[:, 0, 0, 0], [1, 0])
    assert len(load_data(str(tmp_path / "a.png"), shape=(1, 4, 5))) == 1


def test_classes_that_a_network_was_converted_with(tmp_path: Path) -> None:
    folder(tmp_path, "cat/0.png", "eel/0.png")
    found = load_data(str(tmp_path), classes=("ant", "cat", "eel"))
    np.testing.assert_array_equal(found.labels, [1, 2])
    assert found.notes == (f"{tmp_path}: no pictures of ant",)
    with pytest.raises(DataError, match=r"eel is no class that the network was converted with \(ant, cat\)"):
        load_data(str(tmp_path), classes=("ant", "cat"))
    other = load_data(str(tmp_path), classes=("n1", "n2"))
    np.testing.assert_array_equal(other.labels, [0, 1])
    assert "other names than the classes n1, n2; numbered as they sort" in other.notes[0]


def test_two_sizes_and_the_wrong_one(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a.png: is 4×5, the network takes samples of \(1, 8, 8\); .* resize=8x8, or"):
        load_data(str(tmp_path), shape=(1, 8, 8))
    with pytest.raises(DataError, match="is 6×7 after preprocessing"):
        load_data(str(tmp_path), shape=(1, 8, 8), preprocessing=Preprocessing.parse("pad=1"))
    Image.fromarray(GREY[:3]).save(tmp_path / "b.png")
    with pytest.raises(DataError, match=r"b.png: is \(3, 5\), the first picture \(4, 5\); make them one size"):
        load_data(str(tmp_path))
    for text in ("resize=8x8", "resize=9,crop=8"):
        assert only(load_data(str(tmp_path), shape=(1, 8, 8), preprocessing=Preprocessing.parse(text))).shape == (
            2,
            1,
            8,
            8,
        )


def test_nothing_is_decoded_for_a_draw_or_a_shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(tmp_path, *(f"{name}/{k}.png" for name in "ab" for k in range(20)))
    monkeypatch.setattr("spikewright.data.images.decode", lambda *_: pytest.fail("decoded"))
    monkeypatch.setattr("spikewright.data.images.EAGER", 1)
    monkeypatch.setattr("spikewright.data.images.picture_header", lambda *_: pytest.fail("looked at"))
    part = load_data(str(tmp_path), shape=(1, 4, 5)).sample(10)
    assert part.shape == (1, 4, 5)
    np.testing.assert_array_equal(part.labels, [0] * 5 + [1] * 5)


def test_many_pictures_take_no_more_memory_than_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tracemalloc

    monkeypatch.setattr("spikewright.data.images.KEPT", 0)
    for k in range(40):
        Image.fromarray(np.full((256, 256), k, np.uint8)).save(tmp_path / f"{k:02}.png")
    data = load_data(str(tmp_path), shape=(1, 256, 256))
    tracemalloc.start()
    assert [int(v) for x, _ in data.batches(2) for v in x[:, 0, 0, 0]] == list(range(40))
    assert tracemalloc.get_traced_memory()[1] < 10 * 256 * 256 * 4
    tracemalloc.stop()


def test_a_loaded_folder_fits_itself_to_a_network(tmp_path: Path) -> None:
    folder(tmp_path, "a/0.png", "b/1.png")
    plain = load_data(str(tmp_path))
    assert plain.shape == (3, 4, 5)
    fitted = as_dataset(plain, {"x": (1, 4, 5)})
    assert fitted.shape == (1, 4, 5)
    assert fitted.fingerprint != plain.fingerprint
    assert fitted.fingerprint == load_data(str(tmp_path), shape=(1, 4, 5)).fingerprint
    assert fitted.take(1).fingerprint != fitted.fingerprint


def bomb_png(path: Path) -> None:
    Image.fromarray(np.zeros((1, 1), np.uint8)).save(path)
    raw = bytearray(path.read_bytes())
    raw[16:24] = struct.pack(">II", 60000, 60000)
    raw[29:33] = struct.pack(">I", zlib.crc32(raw[12:29]))
    path.write_bytes(raw)


def bomb_webp(path: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(COLOUR).save(stream, "WEBP", lossless=True)
    raw = bytearray(stream.getvalue())
    raw[21:25] = struct.pack("<I", 16383 | 16383 << 14)
    path.write_bytes(raw)


def bomb_bmp(path: Path) -> None:
    Image.fromarray(COLOUR).save(path)
    raw = bytearray(path.read_bytes())
    raw[18:26] = struct.pack("<ii", 9000, 9000)
    path.write_bytes(raw)


def eps(path: Path) -> None:
    Image.fromarray(COLOUR).save(path, "EPS")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (bomb_png, "pixels; make it smaller first"),
        (bomb_webp, "is a picture of 16384×16384, more than 67,108,864 pixels"),
        (bomb_bmp, "is a picture of 9000×9000, more than 67,108,864 pixels"),
        (eps, "not a readable picture; known are PNG, JPEG, WEBP, BMP, TIFF, PPM, GIF"),
        (lambda p: p.write_text("<svg/>"), "not a readable picture"),
        (lambda p: p.write_bytes(b""), "not a readable picture"),
    ],
)
def test_files_that_are_no_pictures(tmp_path: Path, write: Callable[[Path], None], message: str) -> None:
    path = tmp_path / "x.png"
    write(path.with_suffix(".bmp") if write is bomb_bmp else path)
    with pytest.raises(DataError, match=message):
        load_data(str(tmp_path), shape=(3, 4, 5))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM", "GIF"])
def test_damaged_pictures_are_right_or_one_line(tmp_path: Path, kind: str) -> None:
    random = np.random.default_rng(0)
    stream = io.BytesIO()
    Image.fromarray(COLOUR).save(stream, kind)
    good = stream.getvalue()
    path = tmp_path / "x.png"
    for trial in range(150):
        raw = bytearray(good)
        for place in random.integers(0, min(len(raw), 200), random.integers(1, 4)):
            raw[place] = random.integers(0, 256)
        path.write_bytes(raw[: random.integers(1, len(raw))] if trial % 5 == 0 else raw)
        try:
            only(load_data(str(tmp_path), shape=(3, 4, 5)))
        except DataError as error:
            assert len(str(error)) < 400  # noqa: PT017


def test_libtiff_says_nothing_of_its_own(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "x.tif", compression="tiff_adobe_deflate")
    raw = bytearray((tmp_path / "x.tif").read_bytes())
    raw[12:20] = bytes(8)
    (tmp_path / "x.tif").write_bytes(raw)
    with pytest.raises(DataError, match=r"x\.tif: "):
        only(load_data(str(tmp_path), shape=(3, 4, 5)))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_picture_that_holds_no_number(tmp_path: Path, value: float) -> None:
    """A TIFF of floats: as an array it was refused, as a file it went through."""
    good = np.zeros((3, 3), np.float32)
    Image.fromarray(good).save(tmp_path / "a.tif")
    good[1, 2] = value
    Image.fromarray(good).save(tmp_path / "b.tif")
    data = load_data(str(tmp_path), shape=(1, 3, 3))
    with pytest.raises(DataError, match=r"b\.tif: holds NaN or infinity; take it out, or repair it"):
        list(data.batches(2))


def test_pictures_that_are_in_memory() -> None:
    x, y = next(as_dataset([(Image.fromarray(COLOUR), 1), (Image.fromarray(COLOUR[::-1].copy()), 0)]).batches(9))
    np.testing.assert_array_equal(x[0], np.moveaxis(COLOUR, -1, 0))
    np.testing.assert_array_equal(y, [1, 0])
    np.testing.assert_array_equal(pixels(Image.fromarray(WIDE), 1, "refuse", "x")[..., 0], WIDE)
