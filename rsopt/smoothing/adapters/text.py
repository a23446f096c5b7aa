"""Text classifiers of Hugging Face transformers, under noise on the embeddings of their tokens."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from rsopt.errors import InvalidInputError, ModelError

__all__ = ["TextModel"]

NAMES = ("input_ids", "attention_mask", "token_type_ids")
"""What a model is told of each token beside its embedding: one column each, after the embedding."""
SCALE = 1000.0
"""By which these columns are multiplied, so that noise is far from changing what they are rounded to."""
SURE = 0.1
"""How far from a whole number, in units of `SCALE`, they may come to lie."""


class TextModel(nn.Module):
    """A sequence classifier of transformers: a text as its embedded tokens in, logits out.

    Noise is added to word embeddings, where the model looks them up; positions, token types and layer norms come after
    it. A text is (length, width + 3), as `embedded` makes it: for each token its embedding, and in three more columns,
    multiplied by 1000, its number, its place in the attention mask and its type. These columns are rounded to what they
    were, and noise never reaches the model in them; of the numbers only those of special tokens are kept, since a model
    may know padding, or where a text ends, by them. What lies under padding keeps its own embedding without noise.

    A radius is in the l2 norm over the embeddings of all tokens together. It covers another text of the same length
    whose `distance` is below it, and no insertion or deletion.

    Args:
        model: such as `AutoModelForSequenceClassification.from_pretrained` returns.

    Raises:
        InvalidInputError: the model classifies no sequences of tokens.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        config = getattr(model, "config", None)
        if not isinstance(model, nn.Module) or not isinstance(getattr(config, "num_labels", None), int):
            raise InvalidInputError(f"A transformers model with a config and num_labels is needed; found "
                                    f"{type(model).__name__}. Load it with AutoModelForSequenceClassification.")
        taken = inspect.signature(model.forward).parameters
        # By its type a module has tensors and modules for attributes; what is needed of it is looked for.
        table: Any = model.get_input_embeddings() if "input_ids" in taken else None  # type: ignore[operator]
        if not isinstance(getattr(table, "weight", None), torch.Tensor):
            raise InvalidInputError(f"{type(model).__name__} takes no input_ids, or has no table of embeddings for "
                                    "them: it is no classifier of texts.")
        self.model = model
        self._told = [name for name in NAMES if name in taken]
        self._special = sorted({number for name, value in vars(config).items() if name.endswith("_token_id")
                                for number in (value if isinstance(value, list) else [value])
                                if isinstance(number, int)})
        self._words, self._width = (int(size) for size in table.weight.shape[:2])
        self._ordinary = next((number for number in range(self._words) if number not in self._special), 0)

    @property
    def num_classes(self) -> int:
        """Columns of the logits."""
        return int(self.model.config.num_labels)  # type: ignore[union-attr, arg-type]  # a Module by type

    def embedded(self, encoding: Mapping[str, Any]) -> torch.Tensor:
        """A text as `forward` takes it: the point that is certified.

        Args:
            encoding: what the tokenizer makes of one text, with ``return_tensors="pt"``.

        Returns:
            float32 (length, width + 3).

        Raises:
            InvalidInputError: no encoding of one text, or tokens that the model does not know.
        """
        if not isinstance(encoding, Mapping) or "input_ids" not in encoding:
            raise InvalidInputError("A text is what the tokenizer makes of it: tokenizer(text, return_tensors=\"pt\").")
        ids = torch.as_tensor(encoding["input_ids"])
        if ids.ndim == 2 and len(ids) == 1:
            ids = ids[0]
        if ids.ndim != 1 or len(ids) == 0:
            raise InvalidInputError(f"One text at a time: input_ids must be (1, length), found {tuple(ids.shape)}.")
        if int(ids.min()) < 0 or int(ids.max()) >= self._words:
            raise InvalidInputError(f"The model has {self._words} tokens, and the text names one outside of them: is "
                                    "the tokenizer the model's own?")
        mask = torch.as_tensor(encoding.get("attention_mask", torch.ones_like(ids))).reshape(-1)
        # A model may take types for something where none are said: 0 stands for that, 1 for type 0.
        types = torch.as_tensor(encoding.get("token_type_ids", torch.full_like(ids, -1))).reshape(-1) + 1
        if mask.shape != ids.shape or types.shape != ids.shape:
            raise InvalidInputError(f"input_ids, attention_mask and token_type_ids differ in length: {len(ids)}, "
                                    f"{len(mask)}, {len(types)}.")
        table: Any = self.model.get_input_embeddings()  # type: ignore[operator]
        with torch.no_grad():
            embedding = table(ids.to(table.weight.device)).detach().float().cpu()
        shown = torch.where(torch.isin(ids, torch.tensor(self._special, dtype=ids.dtype)), ids,
                            torch.full_like(ids, self._ordinary))
        columns = torch.stack([shown, mask, types], dim=1).cpu().float() * SCALE
        return torch.cat([embedding, columns], dim=1)

    @staticmethod
    def distance(first: torch.Tensor, second: torch.Tensor) -> float:
        """The l2 distance of two texts, as `embedded` makes them, in which radii are.

        inf where they differ in length, padding, types or special tokens: no radius speaks of such a change.
        """
        if first.shape != second.shape or not torch.equal(first[:, -len(NAMES):], second[:, -len(NAMES):]):
            return math.inf
        return float((first.double() - second.double()).norm())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Embedded texts (b, length, width + 3), noise included -> logits (b, K).

        Raises:
            InvalidInputError: inputs of another shape or precision, or columns beside the embeddings that were changed.
            ModelError: the model returned no logits, or looks embeddings up in another way.
        """
        if x.ndim != 3 or x.shape[2] != self._width + len(NAMES):
            raise InvalidInputError(f"A text must be (length, {self._width + len(NAMES)}), as `embedded` makes it; "
                                    f"found {tuple(x.shape[1:])}.")
        if x.dtype not in (torch.float32, torch.float64):
            raise InvalidInputError(f"Texts in {x.dtype} lose the numbers of their tokens. Give SmoothedClassifier "
                                    "input_dtype=torch.float32; the model computes in its own precision.")
        told = x[:, :, self._width:] / SCALE
        rounded = told.round()
        if not bool(((told - rounded).abs() <= SURE).all()) or not bool((rounded >= 0.0).all()) \
                or not bool((rounded[:, :, 0] < self._words).all()) or not bool((rounded[:, :, 1] <= 1.0).all()):
            raise InvalidInputError("The columns beside the embeddings do not name tokens: make a text with `embedded` "
                                    f"and add noise that is small beside {SCALE:g}.")
        given = {name: rounded[:, :, place].long() for place, name in enumerate(NAMES) if name in self._told}
        if "token_type_ids" in given:
            given["token_type_ids"] -= 1
            if bool((given["token_type_ids"] < 0).any()):
                del given["token_type_ids"]
        output = self._called(given, x[:, :, :self._width], rounded[:, :, 1:2] > 0.0)
        logits = getattr(output, "logits", None)
        if not isinstance(logits, torch.Tensor):
            raise ModelError(f"The model returned a {type(output).__name__} without logits. Load it with a head for "
                             "sequence classification: AutoModelForSequenceClassification.")
        return logits

    def _called(self, given: dict[str, torch.Tensor], embeddings: torch.Tensor, seen: torch.Tensor) -> Any:
        """What the model returns when it finds these embeddings where it looks up those of its tokens."""
        found = []

        def noisy(module: nn.Module, arguments: Any, output: torch.Tensor) -> torch.Tensor:
            found.append(output.shape)
            if output.shape != embeddings.shape:
                return output
            return torch.where(seen, embeddings.to(output.dtype), output)

        table: Any = self.model.get_input_embeddings()  # type: ignore[operator]
        hook = table.register_forward_hook(noisy)
        try:
            output = self.model(**given)
        finally:
            hook.remove()
        if found != [embeddings.shape]:
            raise ModelError(f"{type(self.model).__name__} looked up embeddings {len(found)} times where once was "
                             "expected, so that noise would not reach all of them. Wrap the model yourself.")
        return output
