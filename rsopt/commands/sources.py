"""Where `rsopt certify` takes its model and its data from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rsopt.errors import InvalidInputError, UnknownNameError

if TYPE_CHECKING:
    from torch import nn

    from rsopt.noise import Noise
    from rsopt.runs.inputs import Inputs
    from rsopt.smoothing import Dataset, StreamedDataset

PRESETS = ("digits",)


@dataclass(frozen=True, eq=False)
class Source:
    """A model, the data, and how they are called in titles.

    Attributes:
        name: the title.
        model: the model.
        data: the data.
        classes: columns of the model's output.
        step: of the grid on which all data are known to lie; None for none.
        weights: what is to be said about where the model's weights come from; "" where the command line says it.
    """

    name: str
    model: nn.Module
    data: Dataset | StreamedDataset
    classes: int
    weights: str
    step: float | None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the first input."""
        return tuple(self.data.images[0].shape)

    def inputs(self, limit: int | None, skip: int) -> Inputs:
        """Every `skip`-th input, at most `limit` of them."""
        from rsopt.runs.inputs import Inputs

        chosen = range(0, len(self.data.images), skip)[:limit]
        # Labels of these alone: one may have to be read with its input.
        known = ((idx, self.data.labels[idx]) for idx in chosen)
        labels = {idx: None if label is None else int(label) for idx, label in known}
        return Inputs(self.data.images, labels, list(chosen))


@dataclass(frozen=True)
class Named:
    """What the command line said about model and data.

    Attributes:
        preset: name of a preset; None with `model` and `data`.
        model: ``module:callable``.
        weights: file of weights for it.
        data: ``module:callable``, an ``.npz`` or ``.pt`` file, or a folder of images.
        classes: columns of the model's output; None to ask the model.
        device: where the model runs; None to leave it.
    """

    preset: str | None
    model: str | None
    weights: Path | None
    data: str | None
    classes: int | None
    device: str | None

    @property
    def title(self) -> str:
        """Model, weights and data in words: the name of a preset, or what was named."""
        if self.model is None:
            return self.preset or "digits"
        weights = "" if self.weights is None else f" {self.weights.stem}"
        return f"{self.model}{weights} {Path(self.data or '').name}"

    def under(self, noise: Noise, source: Source) -> Source:
        """What `load` gives under a noise, of which `source` is what it gave under another: only presets differ."""
        return source if self.model is not None else self.load(noise)

    def load(self, noise: Noise) -> Source:
        """The model and the data; the digits network is trained under this noise.

        Raises:
            InvalidInputError: a model without data or the reverse, both beside a preset, or no such device.
            UnknownNameError: no such preset.
            RsoptError: as raised by `rsopt.smoothing.loading` and `rsopt.smoothing.digits`.
        """
        if self.model is None and self.data is None:
            return self._preset(self.preset or "digits", noise)
        if self.preset is not None:
            raise InvalidInputError("--preset brings its own model and data: leave out --model and --data, or it.")
        if self.model is None or self.data is None:
            missing = "--model" if self.model is None else "--data"
            raise InvalidInputError(f"Give {missing} too: --model module:callable, --data module:callable, FILE.npz, "
                                    "FILE.pt or a folder of images.")
        from rsopt.noise.grid import BYTES
        from rsopt.smoothing.evaluation import class_count
        from rsopt.smoothing.loading import as_made, load_data, load_model

        model = self._placed(load_model(self.model, weights=self.weights))
        data = load_data(self.data)
        classes = self.classes or class_count(model, data.images[0], noise)
        return Source(f"{self.model} on {self.data}", model, data, classes,
                      as_made(self.model) if self.weights is None else "", BYTES if data.bytes else None)

    def _preset(self, name: str, noise: Noise) -> Source:
        if name not in PRESETS:
            raise UnknownNameError.of("preset", name, list(PRESETS))
        if self.weights is not None or self.classes is not None:
            raise InvalidInputError(f"The preset {name!r} brings its own weights and classes; --weights and --classes "
                                    "go with --model.")
        import torch

        from rsopt.smoothing.digits import STEP, DigitsRecipe, digits_data, digits_model

        data = digits_data()
        # Before a network is trained under noise that its inputs cannot have.
        noise.check_input(data.images[0])
        # For a network this small the threads of one pass wait for each other longer than they work.
        torch.set_num_threads(1)
        return Source("digits", self._placed(digits_model(DigitsRecipe.under(noise))), data, 10, "",
                      STEP)

    def _placed(self, model: nn.Module) -> nn.Module:
        if self.device is None:
            return model
        try:
            return model.to(self.device)
        except (RuntimeError, AssertionError) as error:  # torch raises both for a device it was not built for
            raise InvalidInputError(f"The device {self.device!r} cannot be used: {str(error).splitlines()[0]}"
                                    ) from error
