"""Models and data from the command line's names, with errors that say what to do."""

import os
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from rsopt.errors import InvalidInputError, StorageError
from rsopt.smoothing import Dataset, load_data, load_model, load_weights

SOURCE = """
import numpy as np, torch
from torch import nn

def model():
    torch.manual_seed(0)
    return nn.Linear(4, 3)

ready = nn.Identity()
number = 5
class Space:
    inner = staticmethod(model)

def data():
    return np.ones((6, 4), dtype=np.float64), np.arange(6) % 3

def program():
    return torch.export.export(nn.Linear(4, 3), (torch.zeros(2, 4),))

pair = (torch.zeros(2, 4), [0, 1])
triple = lambda: (1, 2, 3)
ragged = lambda: ([[1.0], [1.0, 2.0]], [0, 1])
"""


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch):
    (tmp_path / "mymodels_for_rsopt.py").write_text(SOURCE)
    (tmp_path / "broken_for_rsopt.py").write_text("import a_package_nobody_has\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [entry for entry in __import__("sys").path if entry != ""])
    return tmp_path


def test_models_are_found_by_name():
    assert load_model("mymodels_for_rsopt:model").weight.shape == (3, 4)
    assert load_model("mymodels_for_rsopt:Space.inner").weight.shape == (3, 4)
    assert isinstance(load_model("mymodels_for_rsopt:ready"), nn.Identity)
    assert load_model("mymodels_for_rsopt:model", device="meta").weight.device.type == "meta"
    assert os.getcwd() not in __import__("sys").path, "the search path is put back"


@pytest.mark.parametrize(("name", "text"), [
    ("mymodels_for_rsopt", "'mymodels_for_rsopt' does not name an object. Write module:callable, for example "
                           "mymodels:resnet."),
    (":model", "':model' does not name an object."),
    ("nowhere_for_rsopt:model", "There is no module 'nowhere_for_rsopt' (for 'nowhere_for_rsopt:model'), neither "
                                "installed nor in the working folder."),
    ("mymodels_for_rsopt:modell", "'mymodels_for_rsopt' has no 'modell' (for 'mymodels_for_rsopt:modell'). "
                                  "Did you mean 'model'?"),
    ("mymodels_for_rsopt:number", "'mymodels_for_rsopt:number' gives a int, not a torch.nn.Module."),
    ("mymodels_for_rsopt:data", "'mymodels_for_rsopt:data' gives a tuple, not a torch.nn.Module.")])
def test_names_of_models_that_lead_nowhere(name, text):
    with pytest.raises(InvalidInputError) as error:
        load_model(name)
    assert str(error.value).startswith(text)


def test_a_module_that_misses_an_import_keeps_its_own_error():
    with pytest.raises(ModuleNotFoundError, match="a_package_nobody_has") as error:
        load_model("broken_for_rsopt:model")
    assert not isinstance(error.value, InvalidInputError)


def test_weights_are_loaded_bare_and_from_a_checkpoint(working_folder):
    source = nn.Linear(4, 3)
    torch.save(source.state_dict(), "bare.pt")
    torch.save({"epoch": 3, "state_dict": source.state_dict()}, "checkpoint.pt")
    for name in ("bare.pt", "checkpoint.pt"):
        model = load_model("mymodels_for_rsopt:model", weights=working_folder / name)
        assert torch.equal(model.weight, source.weight)


@pytest.mark.parametrize("wrap", [
    lambda s: {"net": s, "acc": 93.1, "epoch": 3}, lambda s: {"model": s}, lambda s: {"model_state_dict": s},
    lambda s: {"state_dict": s, "state_dict_ema": {name: 0 * tensor for name, tensor in s.items()}},
    lambda s: {"optimizer": {"state": {}, "param_groups": []}, "generator": s},
    lambda s: {f"module.{name}": tensor for name, tensor in s.items()},
    lambda s: {"net": {f"module.{name}": tensor for name, tensor in s.items()}},
    lambda s: {"state_dict": {f"model._orig_mod.{name}": tensor for name, tensor in s.items()}},
    lambda s: {f"net.{name}": tensor for name, tensor in s.items()},
    # A data-parallel network behind a layer of its own.
    lambda s: {name.replace(".", ".module.", 1): tensor for name, tensor in s.items()}])
def test_checkpoints_of_every_make(working_folder, wrap):
    def made():
        return nn.Sequential(nn.Identity(), nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)))

    source, model = made(), made()
    torch.save(wrap(source.state_dict()), "checkpoint.pt")
    load_weights(model, working_folder / "checkpoint.pt")
    assert all(torch.equal(tensor, source.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_weights_of_the_model_inside_a_wrapper_and_of_no_other(working_folder):
    inside = nn.Linear(4, 3)
    wrapper = nn.Sequential()
    wrapper.add_module("model", nn.Linear(4, 3))
    torch.save(inside.state_dict(), "inside.pt")
    load_weights(wrapper, working_folder / "inside.pt")
    assert torch.equal(wrapper.model.weight, inside.weight)
    # What stands before a network is no wrapper: without it the weights belong to something else.
    torch.save(nn.Sequential(nn.Identity(), nn.Linear(4, 3)).state_dict(), "behind.pt")
    with pytest.raises(InvalidInputError, match=r"do not fit the model: .*Missing key"):
        load_weights(nn.Linear(4, 3), working_folder / "behind.pt")


def test_checkpoints_without_a_state_dict_and_with_too_many(working_folder):
    torch.save({"epoch": 3, "lr": 0.1}, "none.pt")
    with pytest.raises(InvalidInputError, match=r"holds 'epoch', 'lr' and no state dict among them\. Save the one"):
        load_weights(nn.Linear(4, 3), working_folder / "none.pt")
    torch.save({"teacher": nn.Linear(4, 3).state_dict(), "student": nn.Linear(4, 3).state_dict()}, "two.pt")
    with pytest.raises(InvalidInputError, match=r"holds 'teacher', 'student' and several state dicts among them"):
        load_weights(nn.Linear(4, 3), working_folder / "two.pt")


class Dangerous:
    def __reduce__(self):
        return (os.mkdir, ("created-by-a-weights-file",))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_weights_files_cannot_run_code(working_folder):
    for name, save in (("torch.pt", torch.save), ("plain.pt", lambda value, path: pickle.dump(value, path.open("wb")))):
        save({"weight": Dangerous()}, working_folder / name)
        with pytest.raises(StorageError, match=r"is damaged or holds more than tensors, and only files of tensors are"):
            load_weights(nn.Linear(4, 3), working_folder / name)
    assert not (working_folder / "created-by-a-weights-file").exists()


def test_weights_that_do_not_fit(working_folder):
    torch.save(nn.Linear(4, 2).state_dict(), "other.pt")
    with pytest.raises(InvalidInputError, match=r"The weights in .*other\.pt do not fit the model: .*size mismatch"):
        load_weights(nn.Linear(4, 3), working_folder / "other.pt")
    torch.save([1, 2], "list.pt")
    with pytest.raises(InvalidInputError, match=r"The weights file .*list\.pt holds a list, not a state dict"):
        load_weights(nn.Linear(4, 3), working_folder / "list.pt")
    with pytest.raises(StorageError, match=r"The weights file .*missing\.pt cannot be read: No such file or directory"):
        load_weights(nn.Linear(4, 3), working_folder / "missing.pt")
    (working_folder / "cut.pt").write_bytes((working_folder / "other.pt").read_bytes()[:300])
    with pytest.raises(StorageError, match=r"The weights file .*cut\.pt is damaged"):
        load_weights(nn.Linear(4, 3), working_folder / "cut.pt")


def test_data_from_a_callable_a_pair_and_a_file(working_folder):
    for name in ("mymodels_for_rsopt:data", "mymodels_for_rsopt:pair"):
        data = load_data(name)
        assert data.images.dtype == torch.float32
        assert data.labels.dtype == torch.int64
        assert len(data.images) == len(data.labels)
    images = np.random.default_rng(0).random((5, 1, 2, 2), dtype=np.float32)
    np.savez(working_folder / "set.npz", images=images, labels=np.array([1, 2, 0, 1, 2], dtype=np.uint8))
    data = load_data(str(working_folder / "set.npz"))
    assert np.array_equal(data.images, images)
    assert data.labels.tolist() == [1, 2, 0, 1, 2]


@pytest.mark.parametrize(("arrays", "text"), [
    ({"images": np.zeros((2, 3))}, "{path} has no array 'labels'; it has images."),
    ({"x": np.zeros(2)}, "{path} has no array 'images'; it has x."),
    ({"images": np.zeros((2, 3)), "labels": np.zeros(3, dtype=int)},
     "labels must have shape (2,), one per image, found (3,)."),
    ({"images": np.zeros((2, 3)), "labels": np.zeros(2)}, "labels must be integers, found torch.float64."),
    ({"images": np.zeros((2, 3)), "labels": np.array([True, False])}, "labels must be integers, found torch.bool."),
    ({"images": np.zeros((2, 3)), "labels": np.array([0, -1])}, "labels must not be negative, found -1."),
    ({"images": np.zeros((2, 3), dtype=np.uint8), "labels": np.array([0, 1])},
     "images must be floating point, found torch.uint8. Scale them to the units in which sigma is given, for bytes "
     "usually images / 255."),
    ({"images": np.array([[0.0], [np.nan]]), "labels": np.array([0, 1])}, "image 1 holds NaN or infinite values."),
    ({"images": np.zeros((0, 3)), "labels": np.zeros(0, dtype=int)},
     "images must have shape (n, *shape) with n >= 1, found (0, 3)."),
    ({"images": np.zeros(4), "labels": np.zeros(4, dtype=int)},
     "images must have shape (n, *shape) with n >= 1, found (4,)."),
    ({"images": np.array(["a", "b"]), "labels": np.array([0, 1])},
     "images must be an array of numbers of one shape, found dtype <U1.")])
def test_files_with_bad_arrays(working_folder, arrays, text):
    path = working_folder / "bad.npz"
    np.savez(path, **arrays)
    with pytest.raises(InvalidInputError) as error:
        load_data(str(path))
    assert str(error.value) == text.format(path=path)


def test_files_that_cannot_be_read(working_folder):
    with pytest.raises(StorageError, match=r"The data file .*none\.npz cannot be read: No such file or directory"):
        load_data(str(working_folder / "none.npz"))
    (working_folder / "text.npz").write_text("images")
    with pytest.raises(StorageError, match=r"The data file .*text\.npz is damaged"):
        load_data(str(working_folder / "text.npz"))
    np.savez(working_folder / "objects.npz", images=np.array([{}, {}]), labels=np.array([0, 1]))
    with pytest.raises(StorageError, match=r"The data file .*objects\.npz is damaged or holds Python objects"):
        load_data(str(working_folder / "objects.npz"))
    np.savez(working_folder / "cut.npz", images=np.zeros((50, 50)), labels=np.zeros(50, dtype=int))
    (working_folder / "cut.npz").write_bytes((working_folder / "cut.npz").read_bytes()[:5000])
    with pytest.raises(StorageError, match=r"The data file .*cut\.npz"):
        load_data(str(working_folder / "cut.npz"))


@pytest.mark.parametrize(("name", "text"), [
    ("mymodels_for_rsopt:triple", "'mymodels_for_rsopt:triple' gives a tuple, not a pair (images, labels)."),
    ("mymodels_for_rsopt:number", "'mymodels_for_rsopt:number' gives a int, not a pair (images, labels)."),
    ("mymodels_for_rsopt:nothing", "'mymodels_for_rsopt' has no 'nothing'"),
    ("mymodels_for_rsopt:ragged", "images must be an array of numbers of one shape")])
def test_names_of_data_that_lead_nowhere(name, text):
    with pytest.raises(InvalidInputError) as error:
        load_data(name)
    assert str(error.value).startswith(text)


def test_a_dataset_takes_arrays_and_says_what_it_does_not_take():
    data = Dataset(np.zeros((3, 2)), np.array([0, 1, 2], dtype=np.uint8))
    assert (data.images.dtype, data.labels.dtype) == (torch.float32, torch.int64)
    assert Dataset(torch.zeros(2, 2), [0, 1]).labels.tolist() == [0, 1]
    with pytest.raises(InvalidInputError, match=r"images must be floating point, found torch\.uint8\. Scale them"):
        Dataset(np.zeros((3, 8, 8, 3), np.uint8), [0, 1, 2])
    with pytest.raises(InvalidInputError, match=r"found \(3, 10\)\. Of one-hot labels take argmax\(axis=1\)\.$"):
        Dataset(np.zeros((3, 2)), np.eye(10, dtype=int)[:3])
    with pytest.raises(InvalidInputError, match="labels must be an array of numbers of one shape, found dtype"):
        Dataset(np.zeros((3, 2)), ["cat", "dog", "cat"])


def test_an_exported_program_is_a_model(working_folder):
    assert isinstance(load_model("mymodels_for_rsopt:program"), nn.Module)


def test_a_dataset_can_be_made_directly():
    data = Dataset(torch.zeros(3, 2, dtype=torch.float64), torch.tensor([0, 1, 2], dtype=torch.int32))
    assert (data.images.dtype, data.labels.dtype) == (torch.float32, torch.int64)


@pytest.mark.parametrize(("images", "expected"), [
    (torch.arange(256).reshape(4, 8, 8) / 255, True), (torch.arange(256).reshape(4, 1, 8, 8).double() / 255, True),
    (torch.arange(256).reshape(4, 64) / 255, False), (torch.arange(256).reshape(4, 8, 8) / 256, False),
    (torch.arange(256).reshape(4, 8, 8) / 127.5 - 1, False), (torch.arange(256).reshape(4, 8, 8) / 254, False),
    (torch.arange(256).reshape(4, 8, 8), False)])
def test_images_of_bytes_are_known_by_their_values(images, expected):
    """Two axes or more, floating point, all from 0 to 1 and multiples of 1/255."""
    assert Dataset(images, torch.zeros(4, dtype=torch.int64)).bytes == expected
