"""Preprocessing: a text and a value are the same thing, and both mean what training code means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_networks import keras
from spikewright.data import ArrayDataset, Preprocessing, as_dataset, load_data
from spikewright.data.preprocessing import PRESETS
from spikewright.data.resize import cropped, resized, size_of
from spikewright.errors import DataError, SettingsError

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (4, 3, 10, 12), np.uint8)
parse = Preprocessing.parse


def of(text: str, x: np.ndarray = PIXELS, axis: int = 1) -> np.ndarray:
    return parse(text)(x, axis)


@pytest.mark.parametrize("scale", [1 / 255, 1 / 65535, 1 / 3, 0.25, 2.0, 0.001, 0.0039, 0.3333])
def test_a_scale_is_told_as_people_write_it(scale: float) -> None:
    told = str(Preprocessing(scale=scale))
    assert len(told) <= len("scale=1/65535")
    assert Preprocessing.parse(told).scale == scale


def test_data_are_loaded_with_a_text_too(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=PIXELS, y=np.arange(4))
    one, other = (load_data(f"{tmp_path}/data.npz", preprocessing=p) for p in ("scale=1/255", parse("scale=1/255")))
    np.testing.assert_array_equal(next(one.batches(4))[0], next(other.batches(4))[0])
    assert one.preprocessing == other.preprocessing
    with pytest.raises(SettingsError, match=r"preprocessing is Preprocessing\(…\) or its text, 'scale=1/255', not 3"):
        load_data(f"{tmp_path}/data.npz", preprocessing=3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        *PRESETS,
        "",
        "imagenet,resize=128",
        "imagenet,resize=none,crop=none",
        "resize=224x192,filter=bicubic,crop=200x100,pad=1:2:3:4,order=bgr,channels=3,alpha=white,range=1",
        "resize=64,antialias=no",
        "filter=nearest,pad=2,channels=1",
        "scale=1/255,mean=0.5:0.25:0,std=2",
    ],
)
def test_text_and_value_are_the_same(text: str) -> None:
    steps = parse(text)
    assert parse(str(steps)) == steps
    assert parse(str(steps).upper().lower()) == steps


@pytest.mark.parametrize("mode", ["tf", "caffe", "torch"])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_presets_of_keras(mode: str, kind: type) -> None:
    from keras.applications.imagenet_utils import preprocess_input

    expected = preprocess_input(PIXELS.astype(np.float32), data_format="channels_first", mode=mode)
    np.testing.assert_allclose(of(f"keras:{mode}", PIXELS.astype(kind)), expected, atol=2e-5)
    last = np.moveaxis(PIXELS, 1, -1).astype(kind)
    np.testing.assert_allclose(of(f"keras:{mode}", last, -1), np.moveaxis(expected, 1, -1), atol=2e-5)


def test_totensor_divides_by_the_largest_number_of_the_type() -> None:
    np.testing.assert_array_equal(of("totensor"), PIXELS.astype(np.float32) / 255)
    wide = PIXELS.astype(np.uint16) * 257
    np.testing.assert_array_equal(of("totensor", wide), wide.astype(np.float32) / 65535)
    np.testing.assert_allclose(of("totensor", wide), of("totensor"), rtol=1e-6)
    np.testing.assert_allclose(of("keras:tf", wide), of("keras:tf"), atol=1e-6)
    ones = PIXELS > 99
    np.testing.assert_array_equal(of("totensor", ones), ones)
    floats = RANDOM.random((2, 3, 4, 4), np.float32)
    np.testing.assert_array_equal(of("totensor", floats), floats)
    with pytest.raises(DataError, match=r"have 8 or 16 bits, these values are int64; give astype\(np.uint8\)"):
        of("totensor", PIXELS.astype(np.int64))


def test_imagenet_is_what_torchvision_does() -> None:
    picture = RANDOM.integers(0, 256, (300, 401, 3), np.uint8)
    made = np.asarray(Image.fromarray(picture).resize((342, 256), Image.Resampling.BILINEAR))  # int(256 · 401 / 300)
    top, left = round((256 - 224) / 2), round((342 - 224) / 2)
    cut = made[top : top + 224, left : left + 224].astype(np.float32) / 255
    expected = (cut - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
    ours = of("imagenet", np.moveaxis(picture, -1, 0)[None])[0]
    np.testing.assert_allclose(ours, np.moveaxis(expected, -1, 0), atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "wish", "size"),
    [
        ((300, 400), 256, (256, 341)),
        ((400, 300), 256, (341, 256)),
        ((256, 300), 256, (256, 300)),
        ((5, 5), 9, (9, 9)),
        ((300, 400), (10, 20), (10, 20)),
    ],
)
def test_sizes_of_torchvision(shape: tuple[int, int], wish: int | tuple[int, int], size: tuple[int, int]) -> None:
    assert size_of(shape, wish) == size


@pytest.mark.parametrize("kind", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("size", [(5, 7), (20, 31), (10, 12)])
def test_resizing_is_that_of_pil(kind: str, size: tuple[int, int]) -> None:
    picture = np.moveaxis(PIXELS[0], 0, -1)
    expected = np.asarray(Image.fromarray(picture).resize(size[::-1], Image.Resampling[kind.upper()]))
    np.testing.assert_array_equal(resized(picture, size, kind, True), expected)  # type: ignore[arg-type]
    wide = resized(picture.astype(np.uint16) * 257, size, kind, True)  # type: ignore[arg-type]
    assert wide.dtype == np.uint16
    if kind != "bicubic":  # of 8 bits PIL rounds, and cuts what overshoots, between its two passes
        assert np.abs(wide / 257 - expected).max() <= 1


@pytest.mark.parametrize("size", [(5, 7), (20, 31)])
def test_without_antialias_resizing_is_that_of_keras(size: tuple[int, int]) -> None:
    picture = np.moveaxis(PIXELS[0], 0, -1)
    resize = keras.ops.image.resize
    expected = np.asarray(resize(picture.astype(np.float32), size, "bilinear", antialias=False))
    np.testing.assert_allclose(resized(picture, size, "bilinear", False), expected, atol=1e-3)


@pytest.mark.parametrize(
    ("have", "want"), [((7, 7), 4), ((8, 9), 4), ((9, 5), 4), ((3, 9), 4), ((4, 4), 4), ((2, 3), 7)]
)
def test_the_middle_is_that_of_torchvision(have: tuple[int, int], want: int) -> None:
    picture = RANDOM.integers(1, 9, have)
    rows, columns = have
    expected = picture
    if want > rows or want > columns:  # torchvision.transforms.functional.center_crop
        left, top = ((want - n) // 2 if want > n else 0 for n in (columns, rows))
        right, bottom = ((want - n + 1) // 2 if want > n else 0 for n in (columns, rows))
        expected = np.pad(expected, ((top, bottom), (left, right)))
    top, left = (round((n - want) / 2.0) for n in expected.shape)
    np.testing.assert_array_equal(cropped(picture, (want, want)), expected[top : top + want, left : left + want])


def test_steps_in_their_order() -> None:
    x = np.zeros((1, 3, 4, 6), np.uint8)
    x[:, 0] = 255
    made = of("mean=0.5,std=0.5,totensor,order=bgr,crop=2,pad=1,resize=8x8", x)
    assert made.shape == (1, 3, 2, 2)
    made = of("totensor,pad=1:2:3:4,mean=0:0:1,order=bgr", x)
    assert made.shape == (1, 3, 10, 10)
    assert made[0, 2, 0, 0] == -1  # red is the last, its mean 1, and padding is put on before
    assert made[0, 2, 3, 3] == 0
    np.testing.assert_array_equal(of("resize=8x8", x).shape, (1, 3, 8, 8))
    assert parse("resize=8x8,crop=4,pad=2").shape_after((3, 20, 30)) == (3, 4, 4)
    assert parse("resize=8,pad=2").shape_after((20, 30, 3), axis=3) == (12, 16, 3)


def test_arrays_are_resized_too() -> None:
    steps = parse("resize=5x6,totensor")
    last = np.moveaxis(PIXELS, 1, -1)
    expected = np.stack([np.asarray(Image.fromarray(p).resize((6, 5), Image.Resampling.BILINEAR)) for p in last])
    data = ArrayDataset(last, None, steps).with_axes_for({"x": (3, 5, 6)})
    assert data.shape == (3, 5, 6)
    ((x, _),) = data.batches(9)
    np.testing.assert_allclose(x, np.moveaxis(expected, -1, 1) / np.float32(255), rtol=1e-6)
    assert as_dataset(data, {"x": (3, 5, 6)}) is data


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gamma=2", "unknown 'gamma=2'; write scale=..., mean=..., std=..., channels=..., "),
        ("imagnet", "or a preset: totensor, imagenet, keras:tf, keras:caffe, keras:torch"),
        ("resize", "unknown 'resize'"),
        ("resize=big", "resize takes the shorter side, like 256, or rows and columns, like 224x192, not 'big'"),
        ("resize=1x2x3", "resize takes"),
        ("resize=0", "sizes are from 1 to"),
        ("resize=99999x99999", "sizes are from 1 to 67,108,864 pixels"),
        ("crop=-3", "crop takes a size like 224"),
        ("pad=1:2:3", "pad takes whole numbers"),
        ("pad=1x2", "pad takes whole numbers"),
        ("channels=2", "channels must be 1 or 3 or 4 or None, not 2"),
        ("channels=rgb", "channels takes 1, 3 or 4, not 'rgb'"),
        ("order=grb", "order must be 'rgb' or 'bgr', not 'grb'"),
        ("filter=lanczos", "filter must be 'bilinear' or 'nearest' or 'bicubic', not 'lanczos'"),
        ("antialias=maybe", "antialias must be True or False, not 'maybe'"),
        ("alpha=pink", "alpha must be 'refuse' or 'drop' or 'white' or 'black', not 'pink'"),
        ("filter=bicubic,antialias=no", "means something else in every framework"),
        ("range=0", "range must be positive"),
        ("range=1:2", "range takes one number"),
        ("scale=nan", "scale must be a finite number, not nan"),
        ("mean=inf", "mean must be a row of finite numbers, not (inf,)"),
        ("std=0:1:1", "std must be positive"),
        ("scale=1/0", "scale takes numbers"),
        (f"scale={'9' * 500}/x", "scale takes numbers like 0.5 or 1/255, not '9999"),
    ],
)
def test_what_is_no_preprocessing(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(text)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 320


@pytest.mark.parametrize(
    ("text", "x", "message"),
    [
        ("resize=4", np.zeros((1, 7)), r"only pictures are resized, padded and cropped, not \(7,\)"),
        ("order=bgr", np.zeros((1, 1, 4, 4)), "order=bgr is for pictures of three colours, the data have 1"),
        ("channels=3", np.zeros((1, 1, 4, 4)), "channels=3 is for pictures in files; these arrays have 1"),
        ("imagenet", np.zeros((1, 1, 4, 4), np.uint8), "preprocessing has 3 channels, the data 1"),
        ("resize=60000", np.zeros((1, 1, 1, 60000), np.uint8), r"would become 60000×3600000000; give resize=ROWSx"),
    ],
)
def test_samples_that_have_no_such_thing(text: str, x: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        of(text, x)
