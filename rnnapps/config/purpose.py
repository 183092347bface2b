"""What a model card says about every model of an application. Imports no TensorFlow."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Purpose:
    """What a model card says of all models of an application.

    Args:
        does: What it does.
        use: What it is for, and what not.
        factors: What its answers depend on.
        limits: What to mind.
        ethics: Whom it may harm.
    """

    does: str = ""
    use: str = ""
    factors: str = ""
    limits: str = ""
    ethics: str = ""
