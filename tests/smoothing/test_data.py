"""Data as people have it gives the same inputs under the same numbers, one at a time, or says what is wrong."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import run
from linear_model import ANSWERS, POINTS, Linear
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, SubsetRandomSampler, TensorDataset

from rsopt.errors import InvalidInputError, StorageError
from rsopt.question import Question
from rsopt.runs.certify import certify
from rsopt.runs.inputs import Inputs
from rsopt.runs.task import Task
from rsopt.sequential.policy import FixedSamples
from rsopt.smoothing import SmoothedClassifier, StreamedDataset, as_dataset, image_folder

ARRAYS = (POINTS.numpy(), np.array(ANSWERS))
PAIRS = list(zip(POINTS, ANSWERS, strict=True))


class Named(Dataset[dict[str, Any]]):
    """Items are mappings, as data sets of Hugging Face have them."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, idx: int) -> dict[str, Any]:
        return {"label": ANSWERS[idx], "image": POINTS[idx].double().numpy()}


def collated(items: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    return {"pixel_values": torch.tensor(np.stack([item["image"] for item in items])),
            "labels": torch.tensor([item["label"] for item in items])}


def saved(name: str, write: Callable[[Path], object]) -> Callable[[Path], Path]:
    def made(folder: Path) -> Path:
        write(folder / name)
        return folder / name

    return made


SOURCES: dict[str, Callable[[Path], object]] = {
    "arrays": lambda _: ARRAYS, "a mapping": lambda _: {"images": ARRAYS[0], "labels": ARRAYS[1]},
    "a list of pairs": lambda _: PAIRS, "two pairs": lambda _: PAIRS[:2],
    "a data set": lambda _: TensorDataset(POINTS, torch.tensor(ANSWERS)), "mappings": lambda _: Named(),
    "a loader": lambda _: DataLoader(TensorDataset(POINTS, torch.tensor(ANSWERS)), batch_size=3, shuffle=True),
    "a loader that collates": lambda _: DataLoader(Named(), batch_size=2, collate_fn=collated),
    "a loader without batches": lambda _: DataLoader(TensorDataset(POINTS, torch.tensor(ANSWERS)), batch_size=None),
    "npz": saved("a.npz", lambda path: np.savez(path, images=ARRAYS[0], labels=ARRAYS[1])),
    "npz, doubles": saved("d.npz", lambda path: np.savez(path, labels=ARRAYS[1], images=POINTS.double().numpy())),
    "npz, by columns": saved("f.npz", lambda path: np.savez(path, images=np.asfortranarray(ARRAYS[0]), labels=ANSWERS)),
    "npz, compressed": saved("c.npz", lambda path: np.savez_compressed(path, images=ARRAYS[0], labels=ARRAYS[1])),
    "pt": saved("a.pt", lambda path: torch.save({"images": POINTS, "labels": torch.tensor(ANSWERS)}, path)),
    "pt, a pair": saved("p.pt", lambda path: torch.save((POINTS.double(), torch.tensor(ANSWERS)), path)),
    "pt, pairs": saved("l.pth", lambda path: torch.save(PAIRS, path)),
    "pt, old": saved("o.pt", lambda path: torch.save((POINTS, torch.tensor(ANSWERS)), path,
                                                     _use_new_zipfile_serialization=False))}


@pytest.mark.parametrize("name", SOURCES)
def test_all_give_the_same_inputs(name: str, tmp_path: Path) -> None:
    data = as_dataset(SOURCES[name](tmp_path))
    assert len(data.images) == len(data.labels) == (2 if name == "two pairs" else 4)
    for idx in reversed(range(len(data.images))):
        assert torch.equal(data.images[idx], POINTS[idx])
        assert data.images[idx].dtype == torch.float32
        assert data.labels[idx] == ANSWERS[idx]


def test_inputs_of_any_kind_are_certified_alike(tmp_path: Path) -> None:
    smoothed = SmoothedClassifier(Linear(), 0.5, 3, chunk=50)
    options = {"n": 200, "n0": 50, "alpha": 0.01, "seed": 2}
    expected = [smoothed.certify(x, index=idx, **options) for idx, x in enumerate(POINTS)]  # type: ignore[arg-type]
    for name in ("a loader", "a list of pairs", "npz, compressed"):
        found = list(smoothed.certify_each(SOURCES[name](tmp_path), **options))  # type: ignore[arg-type]
        assert [(one.index, one.predict, one.radius) for one in found] == [
            (one.index, one.predict, one.radius) for one in expected]
    known = list(smoothed.certify_each(Named(), n=200, alpha=0.01, seed=2))
    assert [(one.predict, one.chosen) for one in known] == [(label, "label") for label in ANSWERS]
    with pytest.raises(InvalidInputError, match=r"Input 0 has no label\. Give n0"):
        next(smoothed.certify_each(TensorDataset(POINTS), n=200, alpha=0.01, seed=2))


class Counted(Dataset[tuple[torch.Tensor, int]]):
    """Inputs of a megabyte, which counts how many of them there are."""

    read = 0

    def __len__(self) -> int:
        return 40

    def __getitem__(self, idx: int) -> tuple[np.ndarray, int]:  # type: ignore[override]
        Counted.read += 1
        return np.full((512, 512), 0.01 * idx, dtype=np.float32), idx % 2


def test_inputs_are_never_in_memory_all_together(tmp_path: Path) -> None:
    data = as_dataset(DataLoader(Counted(), batch_size=8))
    tracemalloc.start()
    inputs = Inputs(data.images, {idx: data.labels[idx] for idx in range(40)}, range(40))
    inputs.fingerprint()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20
    assert Counted.read <= 80
    np.savez(tmp_path / "large.npz", images=np.zeros((64, 512, 512), np.float32), labels=np.zeros(64, int))
    tracemalloc.start()
    mapped = as_dataset(str(tmp_path / "large.npz"))
    assert float(mapped.images[63].sum()) == 0.0
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20


def test_a_run_on_a_stream_is_the_run_on_its_arrays(tmp_path: Path) -> None:
    task = Task(Question(0.5), FixedSamples(200, 0.01), n0=50)
    smoothed = SmoothedClassifier(Linear(), 0.5, 3, chunk=50, progress=False)
    stream = as_dataset(Named())
    rows = [certify(smoothed, inputs, task, seed=1, output=tmp_path / name) for name, inputs in (
        ("arrays", Inputs(POINTS, ANSWERS, [1, 3])),
        ("stream", Inputs(stream.images, {idx: stream.labels[idx] for idx in (1, 3)}, [1, 3])))]
    assert [row.counts for row in rows[0]] == [row.counts for row in rows[1]]
    again = certify(smoothed, Inputs(POINTS, ANSWERS, [1, 3]), task, seed=1, output=tmp_path / "stream")
    assert again == rows[1], "it is known as the same run"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of small pictures, one of them grey and one below another folder."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 5, 3), dtype=np.uint8)
    for number, name in enumerate(("cat/b.png", "cat/a.png", "dog/deep/c.png", "dog/d.PNG")):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[number, :, :, 0] if number == 3 else pixels[number]).save(tmp_path / "set" / name)
    (tmp_path / "set" / "cat" / "notes.txt").write_text("no image")
    (tmp_path / "set" / ".hidden").mkdir()
    return tmp_path / "set"


def test_a_folder_of_images(folder: Path) -> None:
    data = as_dataset(folder)
    assert list(data.labels) == [0, 0, 1, 1]
    names = ("cat/a.png", "cat/b.png", "dog/d.PNG", "dog/deep/c.png")
    for name, image in zip(names, data.images, strict=True):
        pixels = np.asarray(Image.open(folder / name).convert("RGB"))
        assert torch.equal(image, torch.from_numpy(pixels / np.float32(255)).permute(2, 0, 1))
    assert image_folder(folder, mode="L").images[0].shape == (1, 6, 5)
    flat = image_folder(folder / "dog" / "deep")
    assert list(flat.labels) == [None]
    smoothed = SmoothedClassifier(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(90, 3)), 0.25, 3, chunk=20)
    found = [one.index for one in smoothed.certify_each(folder, n=60, n0=20, alpha=0.05, seed=0)]
    assert found == [0, 1, 2, 3]


def test_pictures_of_a_data_set(folder: Path) -> None:
    """Data sets of torchvision and Hugging Face give pictures of PIL where nobody says what to make of them."""
    pairs = [(Image.open(folder / "cat" / "a.png"), 1), (Image.open(folder / "dog" / "d.PNG"), 0)]
    data = as_dataset(pairs)
    assert [tuple(image.shape) for image in data.images] == [(3, 6, 5), (1, 6, 5)]
    assert torch.equal(data.images[0], as_dataset(folder).images[0])
    named = as_dataset(StreamedDataset(1, lambda _: {"image": pairs[0][0], "label": 4}))
    assert (named.labels[0], named.images[-1].shape) == (4, (3, 6, 5))


def test_folders_that_are_refused(folder: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"mode must be 'RGB' or 'L'; found 'rgb'\."):
        image_folder(folder, mode="rgb")
    with pytest.raises(StorageError, match="cannot be read: No such file"):
        image_folder(folder / "absent")
    (folder / "cat" / "a.png").write_bytes((folder / "cat" / "a.png").read_bytes()[:60])
    with pytest.raises(StorageError, match=r"The image .*a\.png cannot be read"):
        as_dataset(folder).images[0]
    Image.fromarray(np.zeros((3, 3), np.uint16)).save(folder / "cat" / "a.png")
    with pytest.raises(InvalidInputError, match=r"a\.png: A picture has pixels of mode 'I;16', which are no bytes"):
        as_dataset(folder).images[0]
    (folder / "eel").mkdir()
    with pytest.raises(InvalidInputError, match="eel holds no images, and would be class 2"):
        image_folder(folder)
    os.rename(folder / "cat" / "b.png", folder / "b.png")
    with pytest.raises(InvalidInputError, match=r"holds images, such as b\.png, beside folders of classes, such as"):
        image_folder(folder)
    with pytest.raises(InvalidInputError, match="holds no images"):
        image_folder(folder / "eel")


class Endless(IterableDataset[torch.Tensor]):
    def __iter__(self) -> Any:
        return iter(POINTS)


@pytest.mark.parametrize(("data", "text"), [
    (Endless(), "data is a Endless, which is read from its beginning alone."),
    (DataLoader(Endless()), "The loader's data set is a Endless"),
    (DataLoader(TensorDataset(POINTS), sampler=SubsetRandomSampler([1, 2])), "The loader has a sampler of its own"),
    ("no-such-thing", "'no-such-thing' is no folder, .npz or .pt file."), (5, "data gives a int, not a pair"),
    (POINTS, "data gives a Tensor, not a pair (images, labels). Give a data set or DataLoader of torch"),
    ([], "data gives a list"), ("absent.npz", "The data file absent.npz cannot be read: No such file"),
    ("absent.pt", "The data file absent.pt cannot be read: No such file")])
def test_what_is_no_data(data: object, text: str) -> None:
    with pytest.raises((InvalidInputError, StorageError)) as error:
        as_dataset(data)
    assert str(error.value).startswith(text)


@pytest.mark.parametrize(("item", "text"), [
    (({"picture": 1}), "Item 0 has 'picture', and none of pixel_values, image,"),
    (({"input_ids": [1], "label": 1}), "A text becomes an input by rsopt.smoothing.adapters.TextModel.embedded."),
    ((POINTS[0], 1, 2), "Item 0 is a tuple of 3; expected (input, label)."),
    ((POINTS[0], "cat"), "The label of input 0 must be an integer; found 'cat'."),
    ((POINTS[0], np.eye(3)[0]), "Of one-hot labels take argmax."),
    ((POINTS[0], -1), "The label of input 0 must not be negative; found -1."),
    ((POINTS[0] * np.nan, 1), "input 0 holds NaN or infinite values."),
    ((np.zeros(3, np.uint8), 1), "input 0 must be floating point, found torch.uint8. Scale them"),
    ((object(), 1), "input 0 must be an array of numbers of one shape, found dtype object")])
def test_items_without_a_meaning(item: object, text: str) -> None:
    data = StreamedDataset(1, lambda _: item)
    with pytest.raises(InvalidInputError) as error:
        _ = data.images[0], data.labels[0]
    assert text in str(error.value)


def test_a_folder_and_a_loader_on_the_command_line(folder: Path, tmp_path: Path,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_net.py").write_text(
        "import torch\nfrom torch import nn\nfrom torch.utils.data import DataLoader, TensorDataset\n"
        "def net():\n    torch.manual_seed(0)\n    return nn.Sequential(nn.Flatten(), nn.Linear(90, 3))\n"
        "def loader():\n"
        "    return DataLoader(TensorDataset(torch.rand(3, 3, 6, 5), torch.tensor([0, 1, 2])), batch_size=2)\n")
    monkeypatch.chdir(tmp_path)
    options = ("--n", 60, "--n0", 20, "--alpha", 0.05, "--chunk", 20, "--json")
    for data, count in (("set", 4), ("own_net:loader", 3)):
        result = run("certify", "--model", "own_net:net", "--data", data, *options, "--output", "run" + data[-1])
        assert result.exit_code == 0, result.output
        assert f'"inputs": {count}' in result.stdout
    unlabelled = run("certify", "--model", "own_net:net", "--data", "set/dog/deep", *options, "--output", "flat")
    assert '"labelled": false' in unlabelled.stdout
