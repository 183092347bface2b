"""The settings of blocks, of Transformers, and of several networks. Imports no TensorFlow."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from rnnapps.config.base import Config
from rnnapps.config.names import TRANSFORMER
from rnnapps.config.ranges import TuneChoice
from rnnapps.errors import flag


def check_block(config: Config) -> None:
    """Raises unless a block has no residual connections or normalization beside its own."""
    for name, none in (("residual", False), ("normalization", "none")):
        value = getattr(config, name, none)
        if getattr(config, "block", "plain") != "plain" and value != none:
            raise ValueError(
                f"Expected no {flag(name)} with --block=pre_norm, which has its own. "
                f"Received: {value!r}."
            )


class EnsembleOptions(Config):
    """What an application says of several networks that answer together."""

    ensemble: Annotated[int, Field(ge=1)] = 1
    """Number of networks to train, with consecutive seeds; their predictions are combined."""


class TransformerOptions(Config):
    """What an application whose `cell` may be a Transformer says of it."""

    of_recurrent_layers: ClassVar[dict[str, Any]] = {
        "residual": False, "block": "plain", "recurrent_dropout": 0.0, "weight_drop": 0.0,
    }  # fmt: skip
    """Settings that say nothing of a Transformer, each with the value that is none."""
    sections: ClassVar[dict[str, str]] = {"heads": "model"}
    heads: Annotated[int, Field(ge=1), TuneChoice((2, 4, 8), by_name=True)] = 4
    """Attention heads per layer, with --cell=transformer."""
    positions: Literal["rotary", "sinusoidal", "learned", "none"] = "rotary"
    """Position encoding, with --cell=transformer: rotary (rotates queries and keys), sinusoidal or
    learned (added to the inputs), or none."""

    @model_validator(mode="after")
    def _is_a_transformer(self) -> Self:
        settings = self.model_dump()
        if settings["cell"] != TRANSFORMER:
            return self
        for name, none in self.of_recurrent_layers.items():
            value = settings.get(name, none)
            if value != none:
                raise ValueError(
                    f"Expected no {flag(name)} with --cell=transformer, which is not recurrent and "
                    f"has its own normalization, connections and attention. Received: {value!r}."
                )
        units, rotary = settings["units"], self.positions == "rotary"
        if units % (self.heads * (1 + rotary)):
            what = "heads of an even width, which --positions=rotary wants," if rotary else "heads"
            raise ValueError(
                f"Expected --heads to divide --units={units} into {what} with --cell=transformer. "
                f"Received: {self.heads}."
            )
        if self.positions == "sinusoidal" and units % 2:
            raise ValueError(
                f"Expected --units to be even with --positions=sinusoidal. Received: {units}."
            )
        return self


class TextTransformerOptions(TransformerOptions):
    """What an application of texts whose `cell` may be a Transformer says of it."""

    of_recurrent_layers: ClassVar[dict[str, Any]] = {
        **TransformerOptions.of_recurrent_layers,
        "normalization": "none",
    }
    learned_positions: Annotated[int, Field(ge=1)] = 512
    """Number of learned positions, with --positions=learned."""

    @property
    def reach(self) -> tuple[str, int]:
        """The setting that says over how many tokens it looks, and how many these are."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _has_positions(self) -> Self:
        if getattr(self, "cell", None) != TRANSFORMER:
            return self
        name, reach = self.reach
        if self.positions == "learned" and reach > self.learned_positions:
            raise ValueError(
                f"Expected {flag(name)} to be at most as many as there are --learned-positions "
                f"({self.learned_positions}). Received: {reach}."
            )
        return self
