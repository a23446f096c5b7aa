"""The digits preset: fixed data, a network that trains to the same weights and is worth certifying."""

import os
import subprocess
import sys

import numpy as np
import own_noise
import pytest
import torch

from rsopt.errors import InvalidInputError
from rsopt.noise import Ablation, Gaussian, Transformed
from rsopt.smoothing import DigitsRecipe, SmoothedClassifier, digits_data, digits_model, fingerprint
from rsopt.smoothing import digits as digits_module
from rsopt.smoothing.digits import cache_folder

SHORT = DigitsRecipe(epochs=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def model(folder):
    return digits_model(folder=folder)


def test_the_split_is_fixed_and_disjoint():
    test, train = digits_data(), digits_data(train=True)
    assert test.images.shape == (500, 1, 8, 8)
    assert train.images.shape == (1297, 1, 8, 8)
    assert test.images.dtype == torch.float32
    assert float(test.images.min()) == 0.0
    assert float(test.images.max()) == 1.0
    assert torch.equal(test.images, digits_data().images)
    assert test.labels[:12].tolist() == [6, 6, 6, 2, 5, 6, 6, 2, 2, 1, 1, 9]
    rows = {tuple(image.flatten().tolist()) for image in test.images}
    assert not any(tuple(image.flatten().tolist()) in rows for image in train.images)
    assert all((test.labels == label).sum() >= 35 for label in range(10))


def test_the_network_is_worth_certifying(model):
    data = digits_data()
    with torch.inference_mode():
        assert float((model(data.images).argmax(dim=1) == data.labels).float().mean()) >= 0.98
        noise = torch.randn(20, *data.images.shape, generator=torch.Generator().manual_seed(0))
        votes = model((data.images + 0.25 * noise).flatten(0, 1)).argmax(dim=1).reshape(20, 500)
    assert float((votes == data.labels).float().mean()) >= 0.93
    result = SmoothedClassifier(model, 0.25, 10).certify(data.images[0], n=1000, alpha=1e-3, seed=0,
                                                         label=int(data.labels[0]))
    assert result.radius > 0.25


def test_the_weights_are_cached_as_tensors_only(model, folder, monkeypatch):
    (path,) = folder.iterdir()
    assert path.name == f"digits-{DigitsRecipe().fingerprint()}.pt"
    assert set(torch.load(path, weights_only=True)) == set(model.state_dict())

    def never(*arguments):
        raise AssertionError("trained again")

    monkeypatch.setattr(digits_module, "_train", never)
    assert fingerprint(digits_model(folder=folder)) == fingerprint(model)
    assert not digits_model(folder=folder).training


def test_training_repeats_whatever_the_state_of_torch(tmp_path):
    first = digits_model(SHORT, folder=tmp_path / "a")
    torch.manual_seed(12345)
    before = torch.random.get_rng_state()
    threads = torch.get_num_threads()
    with torch.inference_mode():
        second = digits_model(SHORT, folder=tmp_path / "b")
    assert fingerprint(first) == fingerprint(second)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    other = digits_model(DigitsRecipe(epochs=1, seed=1), folder=tmp_path / "a")
    assert fingerprint(other) != fingerprint(first)
    assert len(list((tmp_path / "a").iterdir())) == 2


@pytest.mark.parametrize("content", [b"", b"not a zip file", b"PK\x03\x04 cut off"])
def test_a_damaged_cache_is_trained_anew(tmp_path, content):
    path = tmp_path / f"digits-{SHORT.fingerprint()}.pt"
    path.write_bytes(content)
    model = digits_model(SHORT, folder=tmp_path)
    assert torch.load(path, weights_only=True).keys() == model.state_dict().keys()
    assert os.listdir(tmp_path) == [path.name]


def test_a_cache_with_other_tensors_is_trained_anew(tmp_path):
    path = tmp_path / f"digits-{SHORT.fingerprint()}.pt"
    torch.save({"weight": torch.zeros(3)}, path)
    digits_model(SHORT, folder=tmp_path)
    assert "0.weight" in torch.load(path, weights_only=True)


def test_a_folder_that_cannot_be_written_costs_the_cache_only(tmp_path):
    (tmp_path / "file").write_text("in the way")
    model = digits_model(SHORT, folder=tmp_path / "file")
    assert fingerprint(model) == fingerprint(digits_model(SHORT, folder=tmp_path / "cache"))


def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("RSOPT_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("RSOPT_CACHE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "rsopt"


@pytest.mark.parametrize(("fields", "text"), [
    ({"sigma": -0.1}, "sigma must be finite and not negative, got -0.1."),
    ({"sigma": float("nan")}, "sigma must be finite and not negative, got nan."),
    ({"epochs": 0}, "epochs must be an integer of at least 1, got 0.")])
def test_bad_recipes_are_refused(fields, text):
    with pytest.raises(InvalidInputError) as error:
        DigitsRecipe(**fields)
    assert str(error.value) == text


@pytest.mark.parametrize(("module", "code", "text"), [
    ("torch", "import rsopt.smoothing",
     "rsopt.smoothing needs the package 'torch', which is not installed. Install it with: pip install 'rsopt[torch]'"),
    ("sklearn", "from rsopt.smoothing import digits_data; digits_data()",
     "The preset 'digits' needs the package 'scikit-learn', which is not installed. "
     "Install it with: pip install 'rsopt[digits]'")])
def test_a_missing_package_is_named_with_its_pip_line(module, code, text):
    blocked = f"import sys; sys.modules[{module!r}] = None\n{code}"
    done = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith(f"rsopt.errors.MissingDependencyError: {text}")


def test_votes_of_the_network_repeat(model):
    data = digits_data()
    found = [SmoothedClassifier(model, 0.25, 10, chunk=100, batch=100 * flight).counts(data.images[3], 1000, 0, index=3)
             for flight in (1, 3, 8)]
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def test_weights_under_functions_of_ones_own_are_not_kept(tmp_path):
    """The name of a function does not tell what it does, and its address differs in every process."""
    under = DigitsRecipe(epochs=1, noise=Transformed(Gaussian(0.3), own_noise.brighter, 1))
    assert not under.lasting
    assert DigitsRecipe(epochs=1, noise=Ablation(8)).lasting
    one, other = (digits_model(under, folder=tmp_path).state_dict() for _ in range(2))
    assert not list(tmp_path.iterdir())
    assert all(torch.equal(one[name], other[name]) for name in one)
